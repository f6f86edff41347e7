import { chainIDs } from "../oci/chain.ts";
import type { Digest } from "../oci/types.ts";
import type { Engine } from "./engine.ts";
import { imageNames, layerSizes } from "./images.ts";
import { getImage, type StoredImage, storedImages } from "./stored-image.ts";

/** A layer, known by its chainID: what stands on it, too, where that was asked for. */
export interface TreeLayer {
  chainID: Digest;
  size: number;
  /** Names of the images whose topmost layer it is. */
  topOf: string[];
  children: TreeLayer[];
}

export interface ImageTree {
  id: Digest;
  names: string[];
  size: number;
  layers: TreeLayer[];
}

/** An image's layers, bottom first; with `whatRequires` its topmost layer and all that other images put on it. */
export function imageTree(engine: Engine, word: string, options: { whatRequires: boolean }): ImageTree {
  const image = getImage(engine, word);
  const all = storedImages(engine);
  const topOf = (chainID: Digest) => all.filter((other) => chainOf(other).at(-1) === chainID).flatMap(imageNames);
  const sizes = layerSizes(engine, image);
  const chain = chainOf(image);
  const layers = chain.map(
    (chainID, i): TreeLayer => ({ chainID, size: sizes[i] ?? 0, topOf: topOf(chainID), children: [] }),
  );
  const top = layers.at(-1);
  if (options.whatRequires && top) addChildren(engine, all, top, chain.length, topOf);
  return {
    id: image.id,
    names: imageNames(image),
    size: sizes.reduce((sum, size) => sum + size, 0),
    layers: options.whatRequires && top ? [top] : layers,
  };
}

/** The layers that other images have right above this one, which is at `depth` of theirs. */
function addChildren(
  engine: Engine,
  all: StoredImage[],
  layer: TreeLayer,
  depth: number,
  topOf: (chainID: Digest) => string[],
): void {
  for (const image of all) {
    const chain = chainOf(image);
    const next = chain[depth];
    if (chain[depth - 1] !== layer.chainID || next === undefined) continue;
    if (layer.children.some(({ chainID }) => chainID === next)) continue;
    const child: TreeLayer = {
      chainID: next,
      size: layerSizes(engine, image)[depth] ?? 0,
      topOf: topOf(next),
      children: [],
    };
    layer.children.push(child);
    addChildren(engine, all, child, depth + 1, topOf);
  }
}

function chainOf(image: StoredImage): Digest[] {
  return chainIDs(image.config.rootfs.diff_ids);
}
