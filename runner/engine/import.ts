import { createReadStream } from "node:fs";
import { abortable } from "../base/abortable.ts";
import { TsboxError } from "../base/error.ts";
import { journal } from "../container/journal.ts";
import { decompressArchive, sniffArchive } from "../layers/decompress.ts";
import { inPieces, PiecePool } from "../layers/pieces.ts";
import { OCI_CONFIG, OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_MANIFEST } from "../oci/media-types.ts";
import { hostPlatform } from "../oci/platform.ts";
import { formatReference } from "../oci/reference.ts";
import type { Digest, ImageConfig, Manifest, Platform } from "../oci/types.ts";
import { blobStream, putBlob } from "../store/blob-store.ts";
import { changeIndex, withName } from "../store/image-index.ts";
import { type Inbox, openInbox } from "../store/inbox.ts";
import { storeLayout } from "../store/layout.ts";
import { leaseStore } from "../store/lease.ts";
import { applyChanges } from "./config-changes.ts";
import type { Engine } from "./engine.ts";
import { collectGarbage } from "./gc.ts";
import { type KeptLayer, keepLayer } from "./keep-layer.ts";
import { parseNewName } from "./new-name.ts";
import { checkNotBuiltin } from "./stored-image.ts";
import { unpackOne } from "./unpack-image.ts";

export interface ImportOptions {
  /** A file or an HTTP address; absent: standard input. */
  path?: string;
  reference?: string;
  /** Dockerfile instructions: `CMD ["sh"]`, `ENV A=1`… */
  changes: string[];
  message?: string;
  platform?: Platform;
  signal?: AbortSignal;
}

/** Makes an image of one layer from a root filesystem's tarball: plain, gzip or zstd as it is, xz and bzip2 by gzip. Returns its id. */
export async function importRoot(engine: Engine, options: ImportOptions): Promise<Digest> {
  if (options.reference !== undefined) checkNotBuiltin(options.reference, "import to");
  const reference = options.reference === undefined ? undefined : parseNewName(options.reference, "import an archive");
  const settings = applyChanges({}, options.changes);
  const store = storeLayout(engine.root);
  const release = await leaseStore(store);
  const inbox = openInbox(store);
  const { layout } = inbox;
  try {
    const blob = await named(options.path, () => receiveLayer(inbox, options));
    const unpacked = unpackOne(engine, engine.identity(), blobStream(layout, blob.digest), [], {
      // it was hashed when it was received
      ...(blob.diffID && { diffID: blob.diffID, verified: true }),
      ...(options.signal && { signal: options.signal }),
    });
    const diffID = await named(options.path, () => unpacked);
    const created = new Date().toISOString();
    const platform = options.platform ?? hostPlatform();
    const config: ImageConfig = {
      created,
      architecture: platform.architecture,
      os: platform.os,
      ...(platform.variant !== undefined && { variant: platform.variant }),
      config: settings,
      rootfs: { type: "layers", diff_ids: [diffID] },
      history: [{ created, comment: options.message ?? `Imported from ${redacted(options.path ?? "-")}` }],
    };
    const configBlob = putBlob(layout, Buffer.from(JSON.stringify(config)));
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, ...configBlob },
      layers: [{ mediaType: blob.mediaType, digest: blob.digest, size: blob.size }],
    };
    const entry = { mediaType: OCI_MANIFEST, ...putBlob(layout, Buffer.from(JSON.stringify(manifest))) };
    await inbox.adopt([entry.digest, configBlob.digest, blob.digest]);
    await changeIndex(store, (entries) =>
      reference ? withName(entries, formatReference(reference), entry) : [...entries, entry],
    );
    const name = reference === undefined ? configBlob.digest : formatReference(reference);
    journal(engine.root, { type: "image", action: "import", id: configBlob.digest, name });
    return configBlob.digest;
  } finally {
    inbox.release();
    release();
    await collectGarbage(engine);
  }
}

/** The archive as a layer's blob; `diffID` where it is known by then. */
async function receiveLayer(
  inbox: Inbox,
  options: ImportOptions,
): Promise<Pick<KeptLayer, "digest" | "size" | "mediaType"> & { diffID?: Digest }> {
  const { head, ...blob } = await inbox.receive(abortable(openInput(options), options.signal));
  const compression = sniffArchive(head);
  if (compression === "gzip") return { ...blob, mediaType: OCI_LAYER_GZIP };
  if (compression === "zstd") return { ...blob, mediaType: OCI_LAYER_ZSTD };
  if (compression === "none") return { ...blob, mediaType: OCI_LAYER, diffID: blob.digest };
  // no layer may be
  const pool = new PiecePool();
  const plain = decompressArchive(abortable(blobStream(inbox.layout, blob.digest), options.signal));
  return keepLayer(inbox, inPieces(plain, pool), pool);
}

/** Standard input, a file, or what an address serves. */
function openInput({ path, signal }: ImportOptions): AsyncIterable<Uint8Array> {
  if (path === undefined) return process.stdin;
  if (isAddress(path)) {
    return (async function* () {
      const { downloadFile } = await import("../registry/download.ts");
      yield* downloadFile(path, `import "${redacted(path)}"`, signal);
    })();
  }
  return (async function* () {
    try {
      yield* createReadStream(path, { highWaterMark: 1 << 20 });
    } catch (cause) {
      const { code, syscall } = cause as NodeJS.ErrnoException;
      if (syscall === undefined) throw cause;
      const why = code === "ENOENT" ? "no such file" : code === "EISDIR" ? "it is a folder" : (cause as Error).message;
      throw new TsboxError(`Cannot import "${path}": ${why}`, { code: "NO_INPUT", cause, exitCode: 1 });
    }
  })();
}

export function isAddress(path: string): boolean {
  return /^https?:\/\//i.test(path);
}

/** An address without the password it may have: it stands in errors and in the image's history. */
function redacted(path: string): string {
  if (!isAddress(path) || !URL.canParse(path)) return path;
  const url = new URL(path);
  return `${url.origin}${url.pathname}`;
}

/** Errors of reading compressed data say what file it was. */
async function named<T>(path: string | undefined, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof TsboxError) || !/^Cannot (read|decompress) archive: /.test(error.message)) throw error;
    const source = path === undefined ? "standard input" : `"${redacted(path)}"`;
    throw new TsboxError(error.message.replace(/^Cannot \w+ archive: /, `Cannot import ${source}: `), {
      code: error.code,
      cause: error,
      exitCode: 1,
      ...(error.hint !== undefined && { hint: error.hint }),
    });
  }
}
