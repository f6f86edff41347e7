import { TsboxError } from "../base/error.ts";
import { choosePlatform, formatPlatform, hostPlatform, parsePlatform, platformMatches } from "../oci/platform.ts";
import { formatReference, parseReference, type Reference } from "../oci/reference.ts";
import type { Descriptor, Digest, Platform } from "../oci/types.ts";
import { isIndex, parseImageConfig, parseIndex, parseJson, parseManifest } from "../oci/validate.ts";
import type { Identity } from "../plan/idmap.ts";
import { RegistryClient, type ServedManifest } from "../registry/client.ts";
import { BlobDownload, putBlob } from "../store/blob-store.ts";
import { hasBlob } from "../store/blobs.ts";
import { changeIndex, readIndex, SERVED_DIGEST, withName } from "../store/image-index.ts";
import { makeStore, type StoreLayout, storeLayout } from "../store/layout.ts";
import type { Engine } from "./engine.ts";
import { collectGarbage } from "./gc.ts";
import { layerDescriptors } from "./image-layers.ts";
import type { PullPolicy } from "./run-options.ts";
import { checkNotBuiltin, findNamed, loadImage } from "./stored-image.ts";
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
  tlsVerify?: boolean;
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
  const reference = parseReference(name);
  const layout = storeLayout(engine.root);
  makeStore(layout);
  const client = new RegistryClient(reference, { tlsVerify: options.tlsVerify ?? true });
  try {
    const served = await client.manifest();
    const current = findNamed(readIndex(layout), name);
    if (options.policy === "newer" && current && servedDigest(current) === served.digest) {
      return { reference: formatReference(reference), id: loadImage(layout, current).id, digest: served.digest };
    }
    const wanted = platformOption(options.platform);
    const chosen = await manifestFor(client, served, wanted ?? hostPlatform(), name);
    const id = await fetchImage(engine, layout, client, chosen, { ...options, ...(wanted && { wanted }) });
    putBlob(layout, chosen.bytes);
    const entry: Descriptor = {
      mediaType: chosen.mediaType,
      digest: chosen.digest,
      size: chosen.bytes.length,
      annotations: { [SERVED_DIGEST]: served.digest },
    };
    const full = storedName(reference);
    await changeIndex(layout, (entries) => withName(entries, full, entry));
    return { reference: full, id, digest: served.digest };
  } finally {
    client.close();
    await collectGarbage(engine);
  }
}

/** The manifest's layers and config into the store; returns the image id. */
async function fetchImage(
  engine: Engine,
  layout: StoreLayout,
  client: RegistryClient,
  served: ServedManifest,
  options: PullOptions & { wanted?: Platform },
): Promise<Digest> {
  const manifest = parseManifest(parseJson(served.bytes, `manifest ${served.digest}`), `manifest ${served.digest}`);
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const open = (descriptor: Descriptor) => (offset: number) => client.blob(descriptor, offset);
  const progress = options.onProgress ?? (() => {});
  const what = `image config ${manifest.config.digest}`;
  const configBytes = await wholeBlob(
    new BlobDownload(layout, manifest.config, open(manifest.config), () => {}, signal),
  );
  const config = parseImageConfig(parseJson(configBytes, what), what);
  if (options.wanted && !platformMatches(options.wanted, config)) {
    throw wrongPlatform(options.wanted, `image is for ${formatPlatform(config)}`);
  }
  const layers = layerDescriptors(manifest, config);
  const phase = (layer: Descriptor, name: LayerProgress["phase"], current?: number) =>
    progress({ layer: layer.digest, phase: name, total: layer.size, ...(current !== undefined && { current }) });
  const downloads: BlobDownload[] = [];
  const present = layers.map((layer) => hasBlob(layout, layer.digest));
  for (const [number, layer] of layers.entries()) phase(layer, present[number] ? "exists" : "waiting");
  const begin = (number: number) => {
    const layer = layers[number] as Descriptor;
    downloads[number] ??= new BlobDownload(
      layout,
      layer,
      async (offset) => {
        // the ones before it first: they are the ones that can be unpacked
        const before = downloads[number - AT_ONCE];
        await before?.done;
        phase(layer, "downloading", offset);
        return client.blob(layer, offset);
      },
      (bytes) => {
        if (!present[number]) phase(layer, "downloading", bytes);
      },
      signal,
    );
    return downloads[number];
  };
  for (const number of layers.keys()) begin(number);
  try {
    await unpackLayers(
      engine,
      options.identity ?? engine.identity(),
      config.rootfs.diff_ids,
      (number) => (downloads[number] as BlobDownload).bytes(),
      (number) => phase(layers[number] as Descriptor, present[number] ? "exists" : "done"),
    );
    for (const download of downloads) await download.done;
  } catch (error) {
    stop.abort();
    await Promise.allSettled(downloads.map((download) => download.done));
    throw error;
  }
  return manifest.config.digest;
}

async function wholeBlob(download: BlobDownload): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of download.bytes()) chunks.push(chunk);
  await download.done;
  return Buffer.concat(chunks);
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
  if (!isIndex(value)) return { ...served, mediaType: (value.mediaType as string) ?? served.mediaType };
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

/** A pull by digest keeps the digest in the name, as Docker does; a tag beside it is dropped. */
function storedName(reference: Reference): string {
  if (reference.digest === undefined) return formatReference(reference);
  const { tag: _, ...rest } = reference;
  return formatReference(rest);
}
