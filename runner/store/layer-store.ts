import { existsSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
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

/*
 * Unpacked layers are worth something only with the owners that they were unpacked with: a store that was copied by an ordinary user (a CI system's cache)
 * has them all owned by that user, one that was copied by root for somebody else has ids that are not in the new owner's map. `layers/KEY/origin` has the
 * folder's inode, which no copy has, and the map. Layers from elsewhere are put aside and made anew from the blobs.
 */

export function originFile(layout: StoreLayout, key: string): string {
  return join(layout.layers, key, "origin");
}

export function originText(layout: StoreLayout, key: string, map: string): string {
  return `${statSync(join(layout.layers, key)).ino} ${map}`;
}

export function readOrigin(layout: StoreLayout, key: string): string | undefined {
  try {
    return readFileSync(originFile(layout, key), "utf8");
  } catch {
    return undefined; // made before origins were written down, or not at all
  }
}

/** On the way of every `run`: two system calls. */
export function layersBelongHere(layout: StoreLayout, key: string, map: string): boolean {
  const told = readOrigin(layout, key);
  return told === undefined || told === originText(layout, key, map);
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
