import { chainIDs } from "../oci/chain.ts";
import { familiarName, parseReference } from "../oci/reference.ts";
import type { Digest } from "../oci/types.ts";
import { refName, SERVED_DIGEST } from "../store/image-index.ts";
import { hasLayer, layerMeta } from "../store/layer-store.ts";
import { storeLayout } from "../store/layout.ts";
import type { Engine } from "./engine.ts";
import { type StoredImage, storedImages } from "./stored-image.ts";

export interface ListedImage {
  id: Digest;
  /** As people write them. */
  names: string[];
  /** What its registry calls it. */
  digest: Digest;
  created?: string;
  /** Bytes of its uncompressed layers. */
  size: number;
  labels: Record<string, string>;
  /** How many were made from it, running or not. */
  containers: number;
}

/** Every image of the store, newest first. */
export async function images(engine: Engine): Promise<ListedImage[]> {
  const used = engine.containers.all().map((record) => record.imageID);
  return storedImages(engine)
    .map((image) => ({
      id: image.id,
      names: imageNames(image),
      digest: (image.entries[0]?.annotations?.[SERVED_DIGEST] as Digest | undefined) ?? image.manifestDigest,
      ...(image.config.created !== undefined && { created: image.config.created }),
      size: layerSizes(engine, image).reduce((sum, size) => sum + size, 0),
      labels: image.config.config?.Labels ?? {},
      containers: used.filter((id) => id === image.id).length,
    }))
    .sort((a, b) => ((a.created ?? "") < (b.created ?? "") ? 1 : -1));
}

export function imageNames(image: StoredImage): string[] {
  return image.entries.flatMap((entry) => {
    const name = refName(entry);
    return name === undefined ? [] : [familiarName(parseReference(name))];
  });
}

/** Bytes of each uncompressed layer, bottom first; those of the blob where the layer is not unpacked. */
export function layerSizes(engine: Engine, image: StoredImage): number[] {
  const layout = storeLayout(engine.root);
  const { key } = engine.identity();
  return chainIDs(image.config.rootfs.diff_ids).map((chainID, number) =>
    hasLayer(layout, key, chainID) ? layerMeta(layout, key, chainID).size : (image.manifest.layers[number]?.size ?? 0),
  );
}
