import { createReadStream } from "node:fs";
import { TsboxError } from "../base/error.ts";
import { sniff } from "../layers/decompress.ts";
import { OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST } from "../oci/media-types.ts";
import { hostPlatform } from "../oci/platform.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import type { Digest, ImageConfig, Manifest, Platform } from "../oci/types.ts";
import { blobStream, putBlob, putBlobStream } from "../store/blob-store.ts";
import { changeIndex, withName } from "../store/image-index.ts";
import { openInbox } from "../store/inbox.ts";
import { makeStore, storeLayout } from "../store/layout.ts";
import { applyChanges } from "./config-changes.ts";
import type { Engine } from "./engine.ts";
import { collectGarbage } from "./gc.ts";
import { checkNotBuiltin } from "./stored-image.ts";
import { unpackOne } from "./unpack-image.ts";

export interface ImportOptions {
  /** Absent: standard input. */
  path?: string;
  reference?: string;
  /** Dockerfile instructions: `CMD ["sh"]`, `ENV A=1`… */
  changes: string[];
  message?: string;
  platform?: Platform;
  signal?: AbortSignal;
}

/** Makes an image of one layer from a root filesystem's tarball (plain, gzip or zstd). Returns its id. */
export async function importRoot(engine: Engine, options: ImportOptions): Promise<Digest> {
  if (options.reference !== undefined) checkNotBuiltin(options.reference, "import to");
  const reference = options.reference === undefined ? undefined : parseReference(options.reference);
  const process = applyChanges({}, options.changes);
  const store = storeLayout(engine.root);
  makeStore(store);
  const inbox = openInbox(store);
  const { layout } = inbox;
  try {
    const source = options.path === undefined ? globalThis.process.stdin : openInput(options.path);
    const blob = await putBlobStream(layout, abortable(source, options.signal));
    const diffID = await unpackOne(engine, engine.identity(), blobStream(layout, blob.digest), [], {});
    const created = new Date().toISOString();
    const platform = options.platform ?? hostPlatform();
    const config: ImageConfig = {
      created,
      architecture: platform.architecture,
      os: platform.os,
      ...(platform.variant !== undefined && { variant: platform.variant }),
      config: process,
      rootfs: { type: "layers", diff_ids: [diffID] },
      history: [{ created, comment: options.message ?? `Imported from ${options.path ?? "-"}` }],
    };
    const configBlob = putBlob(layout, Buffer.from(JSON.stringify(config)));
    const types = { gzip: OCI_LAYER_GZIP, zstd: OCI_LAYER_ZSTD, none: OCI_LAYER };
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, ...configBlob },
      layers: [{ mediaType: types[sniff(blob.head)], digest: blob.digest, size: blob.size }],
    };
    const entry = { mediaType: OCI_MANIFEST, ...putBlob(layout, Buffer.from(JSON.stringify(manifest))) };
    inbox.adopt([entry.digest, configBlob.digest, blob.digest]);
    await changeIndex(store, (entries) =>
      reference ? withName(entries, formatReference(reference), entry) : [...entries, entry],
    );
    return configBlob.digest;
  } finally {
    inbox.release();
    await collectGarbage(engine);
  }
}

function openInput(path: string): AsyncIterable<Uint8Array> {
  return (async function* () {
    try {
      yield* createReadStream(path, { highWaterMark: 1 << 20 });
    } catch (cause) {
      const code = (cause as NodeJS.ErrnoException).code;
      const why = code === "ENOENT" ? "no such file" : code === "EISDIR" ? "it is a folder" : (cause as Error).message;
      throw new TsboxError(`Cannot import "${path}": ${why}`, { code: "NO_INPUT", cause, exitCode: 1 });
    }
  })();
}

async function* abortable(source: AsyncIterable<Uint8Array>, signal?: AbortSignal): AsyncGenerator<Uint8Array> {
  for await (const chunk of source) {
    signal?.throwIfAborted();
    yield chunk;
  }
}
