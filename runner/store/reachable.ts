import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { chainIDs } from "../oci/chain.ts";
import { isDigest } from "../oci/digest.ts";
import { isIndexType } from "../oci/media-types.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import { parseImageConfig, parseIndex, parseJson, parseManifest } from "../oci/validate.ts";
import { hasBlob, readBlob } from "./blobs.ts";
import { readIndex } from "./image-index.ts";
import type { StoreLayout } from "./layout.ts";

/** What something leads to: blobs by digest, unpacked layers by chainID. */
export interface Reachable {
  blobs: Set<Digest>;
  layers: Set<Digest>;
}

/**
 * Everything that the store's images need, and what the files of `keep/` name: digests of blobs and chainIDs, one a line, which whoever has no image for
 * them (a build's cache) writes there. Throws when an image is damaged: nobody can tell what it needs then, so nothing may be taken for garbage.
 */
export function reachable(layout: StoreLayout): Reachable {
  const found: Reachable = { blobs: new Set(), layers: new Set() };
  for (const entry of readIndex(layout)) follow(layout, entry, found);
  for (const digest of kept(layout)) {
    found.blobs.add(digest);
    found.layers.add(digest);
  }
  return found;
}

/** What one entry of the index needs. */
export function reachableFrom(layout: StoreLayout, entry: Descriptor): Reachable {
  const found: Reachable = { blobs: new Set(), layers: new Set() };
  follow(layout, entry, found);
  return found;
}

function follow(layout: StoreLayout, entry: Descriptor, found: Reachable): void {
  if (found.blobs.has(entry.digest)) return;
  const what = `manifest ${entry.digest}`;
  const value = parseJson(readBlob(layout, entry.digest), what);
  found.blobs.add(entry.digest);
  if (isIndexType(entry.mediaType)) {
    // an index may name platforms that were never fetched
    for (const below of parseIndex(value, what).manifests)
      if (hasBlob(layout, below.digest)) follow(layout, below, found);
    return;
  }
  const { config, layers } = parseManifest(value, what);
  for (const blob of [config, ...layers]) found.blobs.add(blob.digest);
  const { rootfs } = parseImageConfig(parseJson(readBlob(layout, config.digest), what), what);
  for (const chainID of chainIDs(rootfs.diff_ids)) found.layers.add(chainID);
}

/** Digests of what is kept without an image. */
export function kept(layout: StoreLayout): Digest[] {
  const folder = join(layout.root, "keep");
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    return [];
  }
  return names.flatMap((name) => readFileSync(join(folder, name), "utf8").split("\n").filter(isDigest));
}
