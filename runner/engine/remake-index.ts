import { readdirSync, renameSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { isDigest } from "../oci/digest.ts";
import { isIndexType, OCI_MANIFEST } from "../oci/media-types.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import { MAX_MANIFEST_SIZE, parseJson, parseManifest } from "../oci/validate.ts";
import { hasBlob, readBlob } from "../store/blobs.ts";
import { changeIndex } from "../store/image-index.ts";
import type { StoreLayout } from "../store/layout.ts";
import { loadImage } from "./stored-image.ts";

/** An index that cannot be read is set aside, and one made of the manifests that are whole. Only the names are lost. */
export async function remakeIndex(layout: StoreLayout): Promise<string> {
  const found = manifests(layout);
  const aside = `${layout.index}.damaged`;
  renameSync(layout.index, aside);
  await changeIndex(layout, (entries) => [...entries, ...found]);
  const count = `${found.length} ${found.length === 1 ? "image" : "images"}`;
  return `made anew with the ${count} found, without names: "tsbox tag", or another pull or load, gives them; the old one is ${basename(aside)}`;
}

function manifests(layout: StoreLayout): Descriptor[] {
  const folder = dirname(layout.blob(`sha256:${"0".repeat(64)}`));
  return readdirSync(folder).flatMap((name) => {
    const digest = `sha256:${name}`;
    return isDigest(digest) ? (manifest(layout, digest) ?? []) : [];
  });
}

/** The entry of a blob that is the manifest of an image which is all there. */
function manifest(layout: StoreLayout, digest: Digest): Descriptor | undefined {
  const { size } = statSync(layout.blob(digest));
  if (size > MAX_MANIFEST_SIZE) return undefined;
  try {
    const { mediaType, layers } = parseManifest(parseJson(readBlob(layout, digest), digest), digest);
    const entry = { mediaType: mediaType ?? OCI_MANIFEST, digest, size };
    if (isIndexType(entry.mediaType) || !layers.every((layer) => hasBlob(layout, layer.digest))) return undefined;
    loadImage(layout, entry);
    return entry;
  } catch {
    return undefined; // a config, a small layer, or damaged
  }
}
