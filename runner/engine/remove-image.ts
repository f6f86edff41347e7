import { TsboxError, visible } from "../base/error.ts";
import { journal } from "../container/journal.ts";
import { isUp } from "../container/state.ts";
import { isDigest } from "../oci/digest.ts";
import { familiarName, parseReference } from "../oci/reference.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import { changeIndex, readIndex, refName } from "../store/image-index.ts";
import { type StoreLayout, storeLayout } from "../store/layout.ts";
import { noteRemoved } from "../store/lease.ts";
import { type Reachable, reachableFrom } from "../store/reachable.ts";
import { containerState } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { collectGarbage } from "./gc.ts";
import { findNamed, getImage } from "./stored-image.ts";

export interface RemovedImage {
  /** Names that are gone. */
  untagged: string[];
  /** Digests whose content is gone: the image's id and its layers'. */
  deleted: string[];
}

/** What a word names: the entries of the index that go, of all those that the manifest has. */
interface Named {
  gone: Descriptor[];
  all: Descriptor[];
  /** Of the config; a damaged image has none. */
  id?: Digest;
}

/**
 * Removes a name, and with the last one the image: by name, id or digest, with Docker's rules on what is in use. An image whose blobs are damaged can still be
 * removed by name. `keepContent`: the caller removes several, and sweeps at the end.
 */
export async function removeImage(
  engine: Engine,
  word: string,
  options: { force: boolean; keepContent?: boolean },
): Promise<RemovedImage> {
  const layout = storeLayout(engine.root);
  const { gone, all, id } = named(engine, layout, word, options.force);
  const last = gone.length === all.length;
  if (last && id !== undefined) checkUnused(engine, id, word, options.force);
  // what only this image needs is found out while it is there
  const removed = last ? needs(layout, all) : [];
  await changeIndex(layout, (entries) =>
    entries.filter((entry) => !gone.some((g) => g.digest === entry.digest && refName(g) === refName(entry))),
  );
  const untagged = gone.filter((entry) => refName(entry) !== undefined).map(shown);
  const imageID = String(id ?? (all[0] as Descriptor).digest);
  for (const name of untagged) journal(engine.root, { type: "image", action: "untag", id: imageID, name });
  if (last) journal(engine.root, { type: "image", action: "delete", id: imageID, name: word });
  if (!last) return { untagged, deleted: [] };
  const left = others(layout);
  const blobs = removed.flatMap((one) => [...one.blobs]).filter((digest) => !left.blobs.has(digest));
  const layers = removed.flatMap((one) => [...one.layers]).filter((digest) => !left.layers.has(digest));
  noteRemoved(layout, [...blobs, ...layers]);
  if (!options.keepContent) await collectGarbage(engine);
  return { untagged, deleted: [...new Set([id ?? (all[0] as Descriptor).digest, ...layers])] };
}

/** By name first: that needs nothing but the index, so that a damaged image can be removed too. */
function named(engine: Engine, layout: StoreLayout, word: string, force: boolean): Named {
  const index = readIndex(layout);
  const entry = isDigest(word) ? undefined : entryNamed(index, word);
  if (entry) {
    const all = index.filter(({ digest }) => digest === entry.digest);
    return { gone: [entry], all, ...imageID(engine, word) };
  }
  const { entries: all, id } = getImage(engine, word);
  const names = all.filter((one) => refName(one) !== undefined);
  if (names.length > 1 && !force) {
    throw refuse(
      word,
      `it has ${names.length} names: ${names.map(shown).join(", ")}`,
      "remove them by name, or use -f",
    );
  }
  return { gone: all, all, id };
}

function imageID(engine: Engine, word: string): { id?: Digest } {
  try {
    return { id: getImage(engine, word).id };
  } catch {
    return {};
  }
}

function needs(layout: StoreLayout, entries: Descriptor[]): Reachable[] {
  return entries.flatMap((entry) => {
    try {
      return [reachableFrom(layout, entry)];
    } catch {
      return []; // damaged: the sweep finds what is left of it
    }
  });
}

/** What the images that stay need, as far as they can be read. */
function others(layout: StoreLayout): Reachable {
  const found = needs(layout, readIndex(layout));
  return {
    blobs: new Set(found.flatMap((one) => [...one.blobs])),
    layers: new Set(found.flatMap((one) => [...one.layers])),
  };
}

function entryNamed(entries: Descriptor[], word: string): Descriptor | undefined {
  try {
    return findNamed(entries, word);
  } catch {
    return undefined; // an id
  }
}

function shown(entry: Descriptor): string {
  const name = refName(entry) ?? "";
  try {
    return familiarName(parseReference(name));
  } catch {
    return visible(name); // put there by another tool
  }
}

/** A running container keeps its image; a stopped one only without --force. */
function checkUnused(engine: Engine, id: Digest, word: string, force: boolean): void {
  for (const record of engine.containers.all()) {
    if (record.imageID !== id) continue;
    const running = isUp(containerState(engine, record));
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
  return new TsboxError(`Cannot remove image "${visible(word)}": ${why}`, { code: "IMAGE_IN_USE", hint, exitCode: 1 });
}
