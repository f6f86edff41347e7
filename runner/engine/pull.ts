import { TsboxError } from "../base/error.ts";
import { journal } from "../container/journal.ts";
import { UnpackWorker } from "../layers/unpack-worker.ts";
import { digestOf } from "../oci/digest-of.ts";
import { isManifestType, OCI_MANIFEST } from "../oci/media-types.ts";
import { choosePlatform, formatPlatform, hostPlatform, parsePlatform, platformMatches } from "../oci/platform.ts";
import { formatReference, parseReference, type Reference } from "../oci/reference.ts";
import type { Descriptor, Digest, ImageConfig, Platform } from "../oci/types.ts";
import { isIndex, MAX_MANIFEST_SIZE, parseImageConfig, parseIndex, parseJson, parseManifest } from "../oci/validate.ts";
import type { Identity } from "../plan/idmap.ts";
import { RegistryClient, type ServedManifest } from "../registry/client.ts";
import type { ConnectionOptions } from "../registry/options.ts";
import { RegistryError } from "../registry/registry-error.ts";
import { meanings } from "../registry/short-names.ts";
import { rememberRepository } from "../store/blob-origins.ts";
import { BlobDownload, BlobMismatch, putBlobStream } from "../store/blob-store.ts";
import { hasBlob } from "../store/blobs.ts";
import { ASKED_NAME, changeIndex, readIndex, SERVED_DIGEST, SOURCE, withName } from "../store/image-index.ts";
import { type StoreLayout, storeLayout } from "../store/layout.ts";
import { leaseStore } from "../store/lease.ts";
import type { Engine } from "./engine.ts";
import { collectGarbage } from "./gc.ts";
import { checkIsImage, layerDescriptors, layersOf } from "./image-layers.ts";
import { storedInstead } from "./lock/offline.ts";
import { lockedMeaning, pinned } from "./lock/pinned.ts";
import { registryOptions } from "./registry-options.ts";
import type { PullPolicy } from "./run-options.ts";
import { checkNotBuiltin, findNamed, leadsTo, loadImage } from "./stored-image.ts";
import { unpackLayers } from "./unpack-image.ts";

/** Layers that are downloaded at the same time. */
const AT_ONCE = 3;

export interface LayerProgress {
  /** Digest of the layer's blob. */
  layer: string;
  phase: "waiting" | "downloading" | "unpacking" | "done" | "exists";
  /** Bytes of the blob. */
  current?: number;
  total?: number;
}

export interface PullOptions {
  platform?: string | Platform;
  policy?: PullPolicy;
  identity?: Identity;
  /** How to talk to the registry. */
  connection?: ConnectionOptions;
  signal?: AbortSignal;
  onProgress?: (event: LayerProgress) => void;
}

export interface PulledImage {
  reference: string;
  id: Digest;
  digest: Digest;
}

/**
 * Gets an image from its registry: manifest, config, and its layers in parallel, each verified and unpacked while it streams. The name is given last, so
 * that a pull killed at any moment leaves no image, only blobs that the next one takes up.
 */
export async function pull(engine: Engine, name: string, options: PullOptions = {}): Promise<PulledImage> {
  checkNotBuiltin(name, "pull");
  const refusals: RegistryError[] = [];
  // a short name may stand for several
  for (const reference of lockedMeaning(engine, await meanings(name, process.env))) {
    try {
      const pulled = await pullFrom(engine, name, reference, options);
      journal(engine.root, { type: "image", action: "pull", id: pulled.id, name: pulled.reference });
      return pulled;
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      refusals.push(error);
    }
  }
  throw allRefused(name, refusals);
}

async function pullFrom(
  engine: Engine,
  name: string,
  reference: Reference,
  options: PullOptions,
): Promise<PulledImage> {
  try {
    return await attempt(engine, name, reference, options);
  } catch (error) {
    // a part that an earlier attempt left was wrong; without it the registry may well be right
    if (error instanceof BlobMismatch && error.resumed) return attempt(engine, name, reference, options);
    throw error;
  }
}

async function attempt(engine: Engine, name: string, reference: Reference, options: PullOptions): Promise<PulledImage> {
  const wanted = platformOption(options.platform);
  const pin = pinned(engine, reference, wanted);
  if (engine.lock.offline) return storedInstead(engine, formatReference(reference), pin, wanted);
  const layout = storeLayout(engine.root);
  const release = await leaseStore(layout);
  // ends every transfer when one fails or the caller gives up
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const client = new RegistryClient(reference, registryOptions(options.connection, signal));
  // its start and the registry's first answers take the same time
  const worker = new UnpackWorker();
  try {
    const asked = client.manifest(pin?.digest);
    worker.start();
    const served = await asked;
    const servedAs = pin?.served ?? served.digest;
    const current = findNamed(readIndex(layout), formatReference(reference));
    if (options.policy === "newer" && current && servedDigest(current) === servedAs) {
      return { reference: formatReference(reference), id: loadImage(layout, current).id, digest: servedAs };
    }
    const chosen = await manifestFor(client, served, wanted ?? hostPlatform(), name);
    const id = await fetchImage(engine, layout, client, worker, chosen, {
      ...options,
      signal,
      stop,
      ...(wanted && { wanted }),
    });
    const entry: Descriptor = {
      mediaType: chosen.mediaType,
      digest: chosen.digest,
      size: chosen.bytes.length,
      annotations: {
        [SERVED_DIGEST]: servedAs,
        [SOURCE]: `${reference.domain}/${reference.path}`,
        ...askedName(name, reference),
      },
    };
    const full = storedName(reference);
    await changeIndex(layout, (entries) =>
      withName(withoutAskedName(entries, entry), full, entry, leadsTo(layout, id)),
    );
    rememberRepository(layout, reference, parseManifest(parseJson(chosen.bytes, full), full).layers);
    return { reference: full, id, digest: servedAs };
  } catch (error) {
    options.signal?.throwIfAborted();
    throw error;
  } finally {
    client.close();
    release();
    await worker.close();
    await collectGarbage(engine);
  }
}

/** The manifest's layers and config into the store; returns the image id. */
async function fetchImage(
  engine: Engine,
  layout: StoreLayout,
  client: RegistryClient,
  worker: UnpackWorker,
  served: ServedManifest,
  options: PullOptions & { signal: AbortSignal; stop: AbortController; wanted?: Platform },
): Promise<Digest> {
  const manifest = parseManifest(parseJson(served.bytes, `manifest ${served.digest}`), `manifest ${served.digest}`);
  checkIsImage(manifest, `manifest ${served.digest}`);
  const layers = layersOf(manifest);
  const present = new Set(layers.filter((layer) => hasBlob(layout, layer.digest)).map((layer) => layer.digest));
  const progress = (layer: Descriptor, phase: LayerProgress["phase"], current?: number) =>
    options.onProgress?.({ layer: layer.digest, phase, total: layer.size, ...(current !== undefined && { current }) });
  for (const layer of layers) progress(layer, present.has(layer.digest) ? "exists" : "waiting");
  const arrived = new Set<Digest>();
  // a layer that the image has twice is one download
  const downloads = new Map<Digest, BlobDownload>();
  let reading: BlobDownload | undefined;
  const openBlob = (blob: Descriptor) => (offset: number) => client.blob(blob, offset);
  const { config: about } = manifest;
  if (about.size > MAX_MANIFEST_SIZE) {
    throw new TsboxError(`Cannot use image config ${about.digest}: ${about.size} bytes is too large for a config`, {
      code: "INVALID_IMAGE",
    });
  }
  const told = new BlobDownload(layout, about, openBlob(about), () => {}, options.signal);
  // the disk takes its time for these while the layers come
  const kept = [told.done, keepManifest(layout, served)];
  for (const blob of kept) blob.catch(() => {}); // awaited below
  try {
    const config = await configOf(about, told);
    if (options.wanted && !platformMatches(options.wanted, config)) {
      throw wrongPlatform(options.wanted, `image is for ${formatPlatform(config)}`);
    }
    layerDescriptors(manifest, config);
    for (const layer of layers) {
      if (downloads.has(layer.digest)) continue;
      // the ones before it first: they are the ones that can be unpacked
      const turn = downloads.size < AT_ONCE ? undefined : [...downloads.values()].at(-AT_ONCE)?.done;
      const onProgress = (bytes: number) => {
        if (bytes === layer.size) arrived.add(layer.digest);
        if (!present.has(layer.digest)) progress(layer, "downloading", bytes);
      };
      downloads.set(layer.digest, new BlobDownload(layout, layer, openBlob(layer), onProgress, options.signal, turn));
    }
    await unpackLayers(
      engine,
      options.identity ?? engine.identity(),
      config.rootfs.diff_ids,
      (number) => {
        reading = downloads.get((layers[number] as Descriptor).digest) as BlobDownload;
        return reading;
      },
      {
        worker,
        signal: options.signal,
        onRead(number, bytes) {
          const layer = layers[number] as Descriptor;
          // while it still comes, it is unpacked as fast as it comes
          if (arrived.has(layer.digest)) progress(layer, "unpacking", bytes);
        },
        onLayer(number) {
          const layer = layers[number] as Descriptor;
          progress(layer, present.has(layer.digest) ? "exists" : "done");
        },
      },
    );
    await Promise.all([...kept, ...[...downloads.values()].map((download) => download.done)]);
  } catch (error) {
    // were the bytes wrong, or only what they say? A part of wrong bytes must not be taken up again by the next pull
    const verdict = await reading?.done.then(
      () => error,
      (fault: unknown) => (fault instanceof BlobMismatch ? fault : error),
    );
    options.stop.abort();
    await Promise.allSettled([...kept, ...[...downloads.values()].map((download) => download.done)]);
    throw verdict ?? error;
  }
  return manifest.config.digest;
}

async function keepManifest(layout: StoreLayout, { bytes, digest }: ServedManifest): Promise<void> {
  if (!hasBlob(layout, digest)) await putBlobStream(layout, [bytes], digest);
}

/** As soon as its bytes are there and right, whether or not the disk has them. */
async function configOf(descriptor: Descriptor, download: BlobDownload): Promise<ImageConfig> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of download.bytes()) chunks.push(chunk);
  const bytes = Buffer.concat(chunks);
  if (digestOf(bytes) !== descriptor.digest) await download.done;
  const what = `image config ${descriptor.digest}`;
  return parseImageConfig(parseJson(bytes, what), what);
}

/** The manifest itself, or that of the platform when an index was served. */
async function manifestFor(
  client: RegistryClient,
  served: ServedManifest,
  platform: Platform,
  name: string,
): Promise<ServedManifest> {
  const what = `manifest of "${name}"`;
  const value = parseJson(served.bytes, what);
  if (!isIndex(value)) {
    // the document's own word comes first; a server that knows no better may say text/plain
    const told = (value.mediaType as string | undefined) ?? served.mediaType;
    return { ...served, mediaType: isManifestType(told) ? told : OCI_MANIFEST };
  }
  const { manifests } = parseIndex(value, what);
  const entry = choosePlatform(manifests, platform);
  if (!entry) {
    const offered = [...new Set(manifests.flatMap((m) => (m.platform ? [formatPlatform(m.platform)] : [])))];
    throw wrongPlatform(
      platform,
      `"${name}" has ${offered.filter((p) => !p.startsWith("unknown")).join(", ") || "none"}`,
    );
  }
  const found = await client.manifest(entry.digest);
  return { ...found, mediaType: entry.mediaType };
}

function wrongPlatform(want: Platform, have: string): TsboxError {
  return new TsboxError(`Cannot pull image for ${formatPlatform(want)}: ${have}`, {
    code: "NO_PLATFORM",
    hint: "name another with --platform",
  });
}

function platformOption(platform: string | Platform | undefined): Platform | undefined {
  return typeof platform === "string" ? parsePlatform(platform) : platform;
}

function servedDigest(entry: Descriptor): string {
  return entry.annotations?.[SERVED_DIGEST] ?? entry.digest;
}

/** What a short name would have meant without registries.conf, so that it finds what it meant with it. */
function askedName(name: string, reference: Reference): Record<string, string> {
  const asked = formatReference(parseReference(name));
  return asked === formatReference(reference) ? {} : { [ASKED_NAME]: asked };
}

/** A short name finds what it meant last. */
function withoutAskedName(entries: Descriptor[], newer: Descriptor): Descriptor[] {
  const asked = newer.annotations?.[ASKED_NAME];
  if (asked === undefined) return entries;
  return entries.map((entry) => {
    if (entry.annotations?.[ASKED_NAME] !== asked) return entry;
    const { [ASKED_NAME]: _, ...annotations } = entry.annotations;
    return { ...entry, annotations };
  });
}

function allRefused(name: string, refusals: RegistryError[]): TsboxError {
  const [first] = refusals;
  if (first && refusals.length === 1) return first;
  return new TsboxError(`Cannot pull "${name}": none of ${refusals.length} registries has it`, {
    code: "REGISTRY_NOT_FOUND",
    cause: new Error(refusals.map(({ message }) => message).join("; ")),
    hint: "registries.conf lists them for short names; a name in full is looked for at its own registry only",
  });
}

/** A pull by digest keeps the digest in the name, as Docker does; a tag beside it is dropped. */
function storedName(reference: Reference): string {
  if (reference.digest === undefined) return formatReference(reference);
  const { tag: _, ...rest } = reference;
  return formatReference(rest);
}
