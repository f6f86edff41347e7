import { existsSync, readdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { chainIDs } from "../oci/chain.ts";
import { digestHex, isDigest } from "../oci/digest.ts";
import { familiarName, parseReference } from "../oci/reference.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import { changeIndex, readIndex, refName } from "../store/image-index.ts";
import { layerDir } from "../store/layer-store.ts";
import { storeLayout } from "../store/layout.ts";
import { stagingFolder } from "../store/staging.ts";
import { containerState } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { collectGarbage } from "./gc.ts";
import { removeTrees } from "./remove-trees.ts";
import { findNamed, getImage, loadImage, type StoredImage } from "./stored-image.ts";

export interface RemovedImage {
  /** Names that are gone. */
  untagged: string[];
  /** Digests whose content is gone: the image's id and its layers'. */
  deleted: string[];
}

/** Removes a name, and with the last one the image: by name, id or digest, with Docker's rules on what is in use. */
export async function removeImage(engine: Engine, word: string, options: { force: boolean }): Promise<RemovedImage> {
  const layout = storeLayout(engine.root);
  const image = getImage(engine, word);
  const all = readIndex(layout).filter((entry) => entry.digest === image.manifestDigest);
  const byName = isDigest(word) ? undefined : namedEntry(all, word);
  const names = all.filter((entry) => refName(entry) !== undefined);
  if (!byName && names.length > 1 && !options.force) {
    throw refuse(
      word,
      `it has ${names.length} names: ${names.map(shown).join(", ")}`,
      "remove them by name, or use -f",
    );
  }
  const gone = byName ? [byName] : all;
  const last = gone.length === all.length;
  if (last) checkUnused(engine, image, word, options.force);
  await changeIndex(layout, (entries) =>
    entries.filter((entry) => !gone.some((g) => g.digest === entry.digest && refName(g) === refName(entry))),
  );
  const untagged = gone.filter((entry) => refName(entry) !== undefined).map(shown);
  return { untagged, deleted: last ? await sweep(engine, image) : [] };
}

function namedEntry(entries: Descriptor[], word: string): Descriptor | undefined {
  try {
    return findNamed(entries, word);
  } catch {
    return undefined; // an id
  }
}

function shown(entry: Descriptor): string {
  return familiarName(parseReference(refName(entry) ?? ""));
}

/** A running container keeps its image; a stopped one only without --force. */
function checkUnused(engine: Engine, image: StoredImage, word: string, force: boolean): void {
  for (const record of engine.containers.all()) {
    if (record.imageID !== image.id) continue;
    const running = containerState(engine, record).status === "running";
    if (running || !force) {
      throw refuse(
        word,
        `container ${record.id.slice(0, 12)} (${record.name}) ${running ? "runs on it" : "was made from it"}`,
        running ? `stop and remove it first: tsbox rm -f ${record.name}` : "remove the container first, or use -f",
      );
    }
  }
}

function refuse(word: string, why: string, hint: string): TsboxError {
  return new TsboxError(`Cannot remove image "${word}": ${why}`, { code: "IMAGE_IN_USE", hint, exitCode: 1 });
}

/** Removes blobs and layers that no image has any more. The containers that use layers of a removed image keep them. */
async function sweep(engine: Engine, removed: StoredImage): Promise<string[]> {
  const layout = storeLayout(engine.root);
  const left = readIndex(layout).map((entry) => loadImage(layout, entry));
  const blobs = (image: StoredImage): Digest[] => [
    image.manifestDigest,
    image.manifest.config.digest,
    ...image.manifest.layers.map((layer) => layer.digest),
  ];
  const usedBlobs = new Set(left.flatMap(blobs));
  const usedLayers = new Set(left.flatMap((image) => chainIDs(image.config.rootfs.diff_ids)));
  const lowers = engine.containers.all().flatMap((record) => record.lowers);
  const deleted: string[] = [removed.id];
  // out of their places in one step each: half a layer must never look like a whole one
  const gone = stagingFolder(layout);
  for (const chainID of chainIDs(removed.config.rootfs.diff_ids)) {
    if (usedLayers.has(chainID)) continue;
    for (const key of keys(layout.layers)) {
      const dir = layerDir(layout, key, chainID);
      if (!existsSync(dir) || lowers.includes(join(dir, "root"))) continue;
      renameSync(dir, join(gone.path, `${key}-${digestHex(chainID)}`));
    }
    deleted.push(chainID);
  }
  for (const digest of blobs(removed)) if (!usedBlobs.has(digest)) rmSync(layout.blob(digest), { force: true });
  await removeTrees(engine, [gone.path], engine.identity());
  gone.release();
  await collectGarbage(engine);
  return deleted;
}

function keys(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
