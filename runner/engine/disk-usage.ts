import { readdirSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { ContainerRecord } from "../container/record.ts";
import { chainIDs } from "../oci/chain.ts";
import type { Digest } from "../oci/types.ts";
import { buildCacheFolder, StepCache } from "../store/build-cache.ts";
import { type StoreLayout, storeLayout } from "../store/layout.ts";
import { kept } from "../store/reachable.ts";
import type { Engine } from "./engine.ts";
import { imageNames, layerSizes } from "./images.ts";
import { layerSize } from "./layer-size.ts";
import { type ListedContainer, list } from "./list.ts";
import { type StoredImage, storedImages } from "./stored-image.ts";
import { treeSizes } from "./tree-size.ts";
import { type ListedVolume, volumes } from "./volumes.ts";

export interface ImageUsage {
  id: Digest;
  names: string[];
  created?: string;
  /** Bytes of the uncompressed layers: all, those that other images have too, and the rest. */
  size: number;
  shared: number;
  unique: number;
  containers: number;
}

export interface Total {
  count: number;
  active: number;
  /** Bytes on disk, and those that a prune would free. */
  size: number;
  reclaimable: number;
}

export interface DiskUsage {
  images: ImageUsage[];
  containers: { container: ListedContainer; size: number; volumes: number }[];
  volumes: { volume: ListedVolume; size: number }[];
  totals: { images: Total; containers: Total; volumes: Total; buildCache: Total };
}

/** What the store takes on the disk, and why. */
export async function diskUsage(engine: Engine): Promise<DiskUsage> {
  const containers = list(engine, { all: true });
  const sizes = await containerSizes(engine, containers);
  const volumeList = volumes(engine);
  const volumeSizes = await treeSizes(
    engine,
    volumeList.map(({ mountpoint }) => mountpoint),
  );
  const images = storedImages(engine);
  const usedBy = (id: Digest) => containers.filter(({ record }) => record.imageID === id).length;
  const sum = (numbers: number[]) => numbers.reduce((all, one) => all + one, 0);
  const used = images.filter(({ id }) => usedBy(id) > 0);
  const layout = storeLayout(engine.root);
  const onDisk = blobsAndLayers(layout);
  const bytesOf = (digests: Iterable<Digest>) => sum([...digests].map((digest) => onDisk.get(digest) ?? 0));
  const needed = new Set(needs(images));
  // what a build left and an image has as well is the image's
  const cached = new Set(kept(layout).flatMap((digest) => [digest, layerKey(digest)]));
  const cacheOnly = bytesOf([...cached].filter((digest) => !needed.has(digest)));
  const imageBytes = bytesOf(onDisk.keys()) - cacheOnly;
  const cache = await buildCacheUsage(engine, needed);
  return {
    images: imageUsage(engine, images, usedBy),
    containers: containers.map((container, i) => ({
      container,
      size: sizes[i] ?? 0,
      volumes: container.record.mounts.filter(({ name }) => name !== undefined).length,
    })),
    volumes: volumeList.map((volume, i) => ({ volume, size: volumeSizes[i] ?? 0 })),
    totals: {
      images: {
        count: images.length,
        active: used.length,
        size: imageBytes,
        reclaimable: imageBytes - bytesOf(needs(used)),
      },
      containers: {
        count: containers.length,
        active: containers.filter(({ state }) => isActive(state.status)).length,
        size: sum(sizes),
        reclaimable: sum(sizes.filter((_, i) => !isActive(containers[i]?.state.status ?? ""))),
      },
      volumes: {
        count: volumeList.length,
        active: volumeList.filter(({ users }) => users.length > 0).length,
        size: sum(volumeSizes),
        reclaimable: sum(volumeSizes.filter((_, i) => volumeList[i]?.users.length === 0)),
      },
      buildCache: {
        count: cache.count,
        active: cache.active,
        size: cacheOnly + cache.mounts,
        reclaimable: cacheOnly + cache.mounts,
      },
    },
  };
}

/** Steps of builds, those whose layer is an image's, and the bytes of what RUN steps cached. */
async function buildCacheUsage(
  engine: Engine,
  needed: ReadonlySet<Digest>,
): Promise<{ count: number; active: number; mounts: number }> {
  const steps = new StepCache(engine.root).steps();
  const [mounts = 0] = await treeSizes(engine, [join(buildCacheFolder(engine.root), "mounts")]);
  const active = steps.filter(({ result }) => result.layer && needed.has(result.layer.digest)).length;
  return { count: steps.length, active, mounts };
}

/** Whether a prune leaves it: it runs, or may go on. */
export function isActive(status: string): boolean {
  return status !== "exited" && status !== "created" && status !== "dead";
}

/** What each container wrote. */
export async function containerSizes(engine: Engine, containers: ListedContainer[]): Promise<number[]> {
  const sizes = await treeSizes(
    engine,
    containers.map(({ record }) => (isCopy(record) ? "/nonexistent" : join(engine.containers.dir(record.id), "upper"))),
  );
  for (const [i, { record }] of containers.entries()) {
    if (isCopy(record)) sizes[i] = await (await import("./copied-size.ts")).copiedSize(engine, record);
  }
  return sizes;
}

/** Its upper directory has the image's files, too. */
function isCopy(record: ContainerRecord): boolean {
  return record.storage === "copy" && record.imageID !== "" && record.storageSize === undefined;
}

function imageUsage(engine: Engine, images: StoredImage[], usedBy: (id: Digest) => number): ImageUsage[] {
  const owners = new Map<Digest, number>();
  const chains = images.map(({ config }) => chainIDs(config.rootfs.diff_ids));
  for (const chainID of chains.flat()) owners.set(chainID, (owners.get(chainID) ?? 0) + 1);
  return images.map((image, i) => {
    const sizes = layerSizes(engine, image);
    const size = sizes.reduce((all, one) => all + one, 0);
    const shared = sizes.reduce((all, one, n) => all + ((owners.get(chains[i]?.[n] as Digest) ?? 0) > 1 ? one : 0), 0);
    return {
      id: image.id,
      names: imageNames(image),
      ...(image.config.created !== undefined && { created: image.config.created }),
      size,
      shared,
      unique: size - shared,
      containers: usedBy(image.id),
    };
  });
}

/** Digests of the blobs and chainIDs of the unpacked layers that images need, each once. */
function needs(images: StoredImage[]): Digest[] {
  const blobs = images.flatMap(({ manifestDigest, manifest }) => [
    manifestDigest,
    ...[manifest.config, ...manifest.layers].map(({ digest }) => digest),
  ]);
  const layers = images.flatMap(({ config }) => chainIDs(config.rootfs.diff_ids).map(layerKey));
  return [...new Set([...blobs, ...layers])];
}

/** A lowest layer that is not compressed is a blob of the same digest. */
function layerKey(chainID: Digest): Digest {
  return `${chainID}-layer` as Digest;
}

/** Bytes of every blob and of every unpacked layer (under whatever id map). */
function blobsAndLayers(layout: StoreLayout): Map<Digest, number> {
  const found = new Map<Digest, number>();
  const blobs = dirname(layout.blob(`sha256:${"0".repeat(64)}`));
  for (const name of names(blobs)) {
    found.set(`sha256:${name}`, statSync(join(blobs, name), { throwIfNoEntry: false })?.size ?? 0);
  }
  for (const key of names(layout.layers)) {
    for (const name of names(join(layout.layers, key))) {
      const layer = layerKey(`sha256:${name}`);
      found.set(layer, (found.get(layer) ?? 0) + layerSize(join(layout.layers, key, name)));
    }
  }
  return found;
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
