import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { digestHex } from "../oci/digest.ts";
import type { Digest } from "../oci/types.ts";
import type { StoreLayout } from "./layout.ts";
import type { Staged } from "./staging.ts";

/** What is known of an unpacked layer. */
export interface LayerMeta {
  diffID: Digest;
  chainID: Digest;
  /** Bytes of its uncompressed tar. */
  size: number;
  entries: number;
}

/**
 * Folder of an unpacked layer: `root` is the tree, `meta.json` what is known of it, `owners` what could not be set here, `init` the init layer
 * of the image that ends with it. `key` names the id map that the owners on disk are for (plan/idmap.ts).
 */
export function layerDir(layout: StoreLayout, key: string, chainID: Digest): string {
  return join(layout.layers, key, digestHex(chainID));
}

/** The tree itself: a lowerdir. */
export function layerRoot(layout: StoreLayout, key: string, chainID: Digest): string {
  return join(layerDir(layout, key, chainID), "root");
}

/** The init layer beside the topmost layer of an image. */
export function initLayerPath(lowers: string[]): string {
  const [top] = lowers;
  if (top === undefined) throw new RangeError("Cannot find the init layer: the image has no layers");
  return join(dirname(top), "init");
}

export function hasLayer(layout: StoreLayout, key: string, chainID: Digest): boolean {
  return existsSync(layerDir(layout, key, chainID));
}

export function layerMeta(layout: StoreLayout, key: string, chainID: Digest): LayerMeta {
  return JSON.parse(readFileSync(join(layerDir(layout, key, chainID), "meta.json"), "utf8")) as LayerMeta;
}

/** Puts a staged folder, whose `root` is complete, in its place. One that another process was first with stays. */
export function commitLayer(
  layout: StoreLayout,
  key: string,
  staged: Staged,
  meta: LayerMeta,
  deferred: object[],
): void {
  writeFileSync(join(staged.path, "meta.json"), JSON.stringify(meta));
  if (deferred.length > 0) {
    writeFileSync(join(staged.path, "owners"), deferred.map((event) => `${JSON.stringify(event)}\n`).join(""));
  }
  const place = layerDir(layout, key, meta.chainID);
  mkdirSync(dirname(place), { recursive: true, mode: 0o711 });
  renameSync(staged.path, place);
}
