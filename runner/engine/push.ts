import { createReadStream, existsSync } from "node:fs";
import { TsboxError, visible } from "../base/error.ts";
import { journal } from "../container/journal.ts";
import { isForeignLayer } from "../oci/media-types.ts";
import { formatReference, parseReference, type Reference } from "../oci/reference.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import type { ConnectionOptions } from "../registry/options.ts";
import { RegistryWriter, type Uploaded } from "../registry/writer.ts";
import { rememberRepository, repositoriesWith } from "../store/blob-origins.ts";
import { readBlob } from "../store/blobs.ts";
import { readIndex, refName } from "../store/image-index.ts";
import { type StoreLayout, storeLayout } from "../store/layout.ts";
import type { Engine } from "./engine.ts";
import { type PushForm, type PushFormOptions, pushForm } from "./push-form.ts";
import { registryOptions } from "./registry-options.ts";
import { checkNotBuiltin, findNamed, getImage, type StoredImage } from "./stored-image.ts";

/** Blobs that are sent at the same time. */
const AT_ONCE = 4;
const READ_SIZE = 1 << 20;

export interface PushProgress {
  layer: string;
  phase: "waiting" | "pushing" | "pushed" | "exists" | "mounted" | "skipped";
  current?: number;
  total?: number;
}

export interface PushOptions extends Omit<PushFormOptions, "signal"> {
  /** Where to; absent: where the image's name says. */
  destination?: string;
  connection?: ConnectionOptions;
  signal?: AbortSignal;
  onProgress?: (event: PushProgress) => void;
}

export interface PushedImage {
  reference: Reference;
  digest: Digest;
  /** Bytes of the manifest. */
  size: number;
}

/**
 * Gives a registry an image, as the store has it: the manifest keeps its bytes, and so its digest, unless another form is asked for. Blobs go first, several at once, and those that the
 * registry has are not sent; the manifest goes last, so that a name never means an image that is not whole.
 */
export async function push(engine: Engine, word: string, options: PushOptions = {}): Promise<PushedImage> {
  const layout = storeLayout(engine.root);
  const image = getImage(engine, word);
  const reference = destinationOf(word, image, options.destination);
  // ends every transfer when one fails or the caller gives up
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const form = await pushForm(layout, image, { ...options, signal });
  try {
    checkDigest(word, reference, form.digest);
    const writer = await RegistryWriter.open(reference, registryOptions(options.connection, signal));
    try {
      await sendBlobs(layout, writer, reference, form, options.onProgress ?? (() => {}));
      const target = reference.tag ?? reference.digest ?? "latest";
      await writer.manifest(target, form.mediaType, form.bytes, form.digest);
    } finally {
      writer.close();
    }
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    stop.abort();
    form.release();
  }
  rememberRepository(layout, reference, form.manifest.layers);
  journal(engine.root, { type: "image", action: "push", id: image.id, name: formatReference(reference) });
  return { reference, digest: form.digest, size: form.bytes.length };
}

function checkDigest(word: string, reference: Reference, digest: Digest): void {
  if (reference.digest === undefined || reference.digest === digest) return;
  throw new TsboxError(`Cannot push "${visible(word)}" to "${formatReference(reference)}": its digest is ${digest}`, {
    code: "DIGEST_MISMATCH",
    hint: "leave the digest out, or name a tag",
    exitCode: 1,
  });
}

/** Every name of the store in one repository, for `--all-tags`. */
export function tagsOf(engine: Engine, repository: string): string[] {
  const { domain, path, digest } = parseReference(repository);
  if (digest !== undefined || /:[^/]*$/.test(repository)) {
    throw new TsboxError(`Cannot push all tags of "${visible(repository)}": it names one`, {
      code: "INVALID_REFERENCE",
      hint: "leave the tag out",
      exitCode: 1,
    });
  }
  const names = readIndex(storeLayout(engine.root)).flatMap((entry) => refName(entry) ?? []);
  const found = names.filter((name) => name.startsWith(`${domain}/${path}:`)).sort();
  if (found.length === 0) {
    throw new TsboxError(`Cannot push all tags of "${visible(repository)}": the store has none`, {
      code: "NO_SUCH_IMAGE",
      hint: `"tsbox images" lists what there is`,
      exitCode: 1,
    });
  }
  return found;
}

function destinationOf(word: string, image: StoredImage, destination: string | undefined): Reference {
  if (destination !== undefined) {
    const name = destination.replace(/^docker:\/\//, "");
    const transport = /^(dir|oci|oci-archive|docker-archive|docker-daemon|containers-storage|ostree):/.exec(name)?.[1];
    if (transport !== undefined && parseLeniently(name) === undefined) {
      throw new TsboxError(`Cannot push to "${visible(destination)}": "${transport}" is no registry`, {
        code: "INVALID_REFERENCE",
        hint: `"tsbox save --format oci-archive -o FILE IMAGE" writes archives and folders`,
        exitCode: 1,
      });
    }
    return parseReference(name);
  }
  checkNotBuiltin(word, "push");
  const reference = parseLeniently(word);
  const entry = reference && findNamed(image.entries, word);
  if (!reference || !entry) {
    throw new TsboxError(`Cannot push "${visible(word)}": an id does not say where to`, {
      code: "INVALID_REFERENCE",
      hint: `name the destination too: tsbox push ${word} REGISTRY/NAME:TAG`,
      exitCode: 1,
    });
  }
  // by a short name, where registries.conf had it mean another one
  return reference.digest === undefined ? parseReference(refName(entry) ?? word) : reference;
}

function parseLeniently(word: string): Reference | undefined {
  try {
    return parseReference(word);
  } catch {
    return undefined;
  }
}

async function sendBlobs(
  layout: StoreLayout,
  writer: RegistryWriter,
  reference: Reference,
  { manifest, file }: PushForm,
  onProgress: (event: PushProgress) => void,
): Promise<void> {
  const layers = new Map(manifest.layers.map((layer) => [layer.digest, layer]));
  for (const { digest } of layers.values()) onProgress({ layer: digest, phase: "waiting" });
  const send = async (blob: Descriptor, told: boolean) => {
    // what its maker lets nobody pass on is fetched from where the manifest says
    if (isForeignLayer(blob)) return onProgress({ layer: blob.digest, phase: "skipped", total: blob.size });
    if (!existsSync(file(blob.digest))) readBlob(layout, blob.digest);
    const tell = (phase: PushProgress["phase"], current?: number) => {
      if (told) onProgress({ layer: blob.digest, phase, total: blob.size, ...(current !== undefined && { current }) });
    };
    const uploaded = await writer.blob({
      descriptor: blob,
      open: (start) => createReadStream(file(blob.digest), { start, highWaterMark: READ_SIZE }),
      known: repositoriesWith(layout, blob.digest, reference.domain),
      onProgress: (bytes) => tell("pushing", bytes),
    });
    tell(uploaded.how satisfies Uploaded["how"]);
  };
  const waiting = [...layers.values()];
  const worker = async () => {
    for (let layer = waiting.shift(); layer; layer = waiting.shift()) await send(layer, true);
  };
  await Promise.all([...Array.from({ length: AT_ONCE }, worker), send(manifest.config, false)]);
}
