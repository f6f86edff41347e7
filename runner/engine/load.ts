import { abortable } from "../base/abortable.ts";
import { TsboxError, visible } from "../base/error.ts";
import { journal } from "../container/journal.ts";
import { hostPlatform, platformMatches } from "../oci/platform.ts";
import { familiarName, formatReference, parseReference, type Reference } from "../oci/reference.ts";
import type { Descriptor, Digest, Platform } from "../oci/types.ts";
import { parseImageConfig, parseManifest } from "../oci/validate.ts";
import { blobFile } from "../store/blob-store.ts";
import { changeIndex, withName } from "../store/image-index.ts";
import { type Inbox, openInbox, type Receiving } from "../store/inbox.ts";
import { type StoreLayout, storeLayout } from "../store/layout.ts";
import { leaseStore } from "../store/lease.ts";
import {
  type ArchiveFiles,
  awaitedChunks,
  blobJson,
  checkPresent,
  describeSource,
  namingSource,
  readArchive,
} from "./archive-files.ts";
import { type ArchivedImage, archivedImages, NeedsDigest } from "./archive-images.ts";
import type { Engine } from "./engine.ts";
import { collectGarbage } from "./gc.ts";
import { checkIsImage, layerDescriptors } from "./image-layers.ts";
import type { LayerProgress } from "./pull.ts";
import { leadsTo } from "./stored-image.ts";
import { unpackLayers } from "./unpack-image.ts";

export interface LoadOptions {
  /** File or folder; absent: standard input. */
  path?: string;
  /** Which of several an archive's image is taken for; the default is this machine. */
  platform?: Platform;
  signal?: AbortSignal;
  onProgress?: (event: LayerProgress) => void;
}

export interface LoadedImage {
  /** As people write them. */
  names: string[];
  id: Digest;
}

/**
 * Reads images from a docker-archive (of `docker save` or `podman save`), an OCI archive, an OCI folder or skopeo's `dir:`, compressed or not, in one pass:
 * each file becomes a blob; what the archive means is read at its end; names are given last.
 */
export async function load(engine: Engine, options: LoadOptions): Promise<LoadedImage[]> {
  const store = storeLayout(engine.root);
  const release = await leaseStore(store);
  const inbox = openInbox(store);
  try {
    const archive = await readArchive(inbox, options.path, options.signal);
    const found = await imagesOf(archive, inbox, options.platform ?? hostPlatform(), options.signal);
    if (!found || found.length === 0) throw notAnArchive(found !== undefined, options);
    const loaded: LoadedImage[] = [];
    for (const image of found) loaded.push(await addImage(engine, store, inbox, archive, image, options));
    return loaded;
  } catch (error) {
    throw namingSource(error, describeSource(options.path));
  } finally {
    inbox.release();
    release();
    await collectGarbage(engine);
  }
}

function notAnArchive(known: boolean, { path, platform }: LoadOptions): TsboxError {
  const none = `it holds no image for ${platform ? "that platform" : "this machine"}`;
  return new TsboxError(
    `Cannot load ${describeSource(path)}: ${known ? none : "it has neither index.json nor manifest.json"}`,
    {
      code: "NOT_AN_IMAGE_ARCHIVE",
      hint: known ? "name another with --platform" : "a root filesystem's tarball is taken by `tsbox import`",
      exitCode: 1,
    },
  );
}

/** What the archive means. Files whose digests must be known for that are received on the way. */
async function imagesOf(
  archive: ArchiveFiles,
  inbox: Inbox,
  platform: Platform,
  signal?: AbortSignal,
): Promise<ArchivedImage[] | undefined> {
  for (;;) {
    try {
      return archivedImages(archive, platform);
    } catch (error) {
      if (!(error instanceof NeedsDigest)) throw error;
      const { file } = error;
      file.digest = (await inbox.receive(abortable(awaitedChunks(file), signal))).digest;
    }
  }
}

/** Receives layers that were left in the archive, one after the other; each can be unpacked meanwhile. */
function receiveLayers(
  inbox: Inbox,
  { awaited }: ArchiveFiles,
  layers: Descriptor[],
  signal: AbortSignal,
): Map<Digest, Receiving> {
  const coming = new Map<Digest, Receiving>();
  let before: Promise<void> | undefined;
  for (const { digest } of layers) {
    const file = awaited.get(digest);
    if (!file || coming.has(digest)) continue;
    const receiving = inbox.receiving(() => abortable(awaitedChunks(file), signal), digest, file.size, before);
    before = receiving.done;
    coming.set(digest, receiving);
    awaited.delete(digest);
  }
  return coming;
}

/** Unpacks an image, keeps its blobs, and gives it its names. */
async function addImage(
  engine: Engine,
  store: StoreLayout,
  inbox: Inbox,
  archive: ArchiveFiles,
  { descriptor, names }: ArchivedImage,
  options: LoadOptions,
): Promise<LoadedImage> {
  const { layout } = inbox;
  const references = names.flatMap((name) => usableName(engine, name));
  const manifest = parseManifest(blobJson(archive, descriptor), `manifest ${descriptor.digest}`);
  checkIsImage(manifest, `manifest ${descriptor.digest}`);
  const config = parseImageConfig(blobJson(archive, manifest.config), `image config ${manifest.config.digest}`);
  if (options.platform && !platformMatches(options.platform, config)) throw notAnArchive(true, options);
  const layers = layerDescriptors(manifest, config);
  for (const layer of layers) checkPresent(archive, layer);
  const progress = options.onProgress ?? (() => {});
  const stop = new AbortController();
  const signal = options.signal ? AbortSignal.any([options.signal, stop.signal]) : stop.signal;
  const coming = receiveLayers(inbox, archive, layers, signal);
  try {
    await unpackLayers(
      engine,
      engine.identity(),
      config.rootfs.diff_ids,
      (number) => {
        signal.throwIfAborted();
        const layer = layers[number] as Descriptor;
        progress({ layer: layer.digest, phase: "unpacking", current: 0, total: layer.size });
        return coming.get(layer.digest) ?? blobFile(layout, layer.digest);
      },
      {
        signal,
        onRead(number, bytes) {
          const layer = layers[number] as Descriptor;
          progress({ layer: layer.digest, phase: "unpacking", current: bytes, total: layer.size });
        },
        onLayer: (number) => progress({ layer: (layers[number] as Descriptor).digest, phase: "done" }),
        // a layer that is not compressed is hashed when it is received
        isVerified: (number) => layers[number]?.digest === config.rootfs.diff_ids[number],
      },
    );
    for (const { done } of coming.values()) await done;
  } catch (error) {
    stop.abort();
    await Promise.allSettled([...coming.values()].map(({ done }) => done));
    throw error;
  }
  await inbox.adopt([descriptor, manifest.config, ...layers].map(({ digest }) => digest));
  await changeIndex(store, (entries) => {
    if (references.length === 0) {
      return entries.some((entry) => entry.digest === descriptor.digest) ? entries : [...entries, descriptor];
    }
    const isSame = leadsTo(store, manifest.config.digest);
    return references.reduce((all, one) => withName(all, formatReference(one), descriptor, isSame), entries);
  });
  const id = manifest.config.digest;
  const told = references.length > 0 ? references.map(formatReference) : [id];
  for (const name of told) journal(engine.root, { type: "image", action: "load", id, name });
  return { names: references.map(familiarName), id };
}

/** In OCI layouts a name may be any text; the image is worth having without. */
function usableName(engine: Engine, name: string): Reference[] {
  try {
    return [parseReference(name)];
  } catch {
    engine.warn(`the archive's name "${visible(name)}" is none that images can have here: give one by "tsbox tag"`);
    return [];
  }
}
