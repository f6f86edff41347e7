import { existsSync } from "node:fs";
import { join } from "node:path";
import { type JournalEntry, journal } from "../container/journal.ts";
import { buildCacheFolder, StepCache } from "../store/build-cache.ts";
import { storeLayout } from "../store/layout.ts";
import { claimStore, noteRemoved } from "../store/lease.ts";
import { containerSizes, isActive } from "./disk-usage.ts";
import type { Engine } from "./engine.ts";
import { collectGarbage } from "./gc.ts";
import { images, type ListedImage } from "./images.ts";
import { type ListedContainer, list } from "./list.ts";
import { remove } from "./remove.ts";
import { removeImage } from "./remove-image.ts";
import { removeTrees } from "./remove-trees.ts";
import { storedImages } from "./stored-image.ts";
import { sweep } from "./sweep.ts";
import { treeSizes } from "./tree-size.ts";
import { type ListedVolume, removeUnused, volumes } from "./volumes.ts";

/** What a prune removed, and the bytes that it freed. */
export interface Pruned {
  removed: string[];
  bytes: number;
}

/** docker: one event for the whole, with what it gave back. */
function told(engine: Engine, type: JournalEntry["type"], result: Pruned): Pruned {
  journal(engine.root, { type, action: "prune", id: "", reclaimed: String(result.bytes) });
  return result;
}

/** A container that was made so long ago and has not started never will: its `run` is gone. */
const STARTING = 60_000;

/** Removes containers that do not run. */
export async function pruneContainers(
  engine: Engine,
  choose: (containers: ListedContainer[]) => ListedContainer[],
): Promise<Pruned> {
  const idle = list(engine, { all: true }).filter(
    ({ record, state }) =>
      !isActive(state.status) &&
      // `run` writes the record before it starts the container
      !(state.status === "created" && Date.now() - Date.parse(record.created) < STARTING),
  );
  const chosen = choose(idle);
  const sizes = await containerSizes(engine, chosen);
  const result: Pruned = { removed: [], bytes: 0 };
  for (const [i, { record }] of chosen.entries()) {
    try {
      await remove(engine, record.id, { force: false });
    } catch (error) {
      engine.warn((error as Error).message);
      continue;
    }
    result.removed.push(record.id);
    result.bytes += sizes[i] ?? 0;
  }
  return told(engine, "container", result);
}

export interface PruneImages {
  /** Every image without a container; otherwise those without a name only. */
  all: boolean;
  /** Absent: no filter was given, and what failed pulls left goes too, however young. */
  choose?: (images: ListedImage[]) => ListedImage[];
}

/** Removes images that no container uses, and what nothing leads to. The lines are docker's: `untagged: NAME`, `deleted: DIGEST`. */
export async function pruneImages(engine: Engine, options: PruneImages): Promise<Pruned> {
  const unused = (await images(engine)).filter(
    ({ names, containers }) => containers === 0 && (options.all || names.length === 0),
  );
  const result: Pruned = { removed: [], bytes: 0 };
  for (const { id } of options.choose?.(unused) ?? unused) {
    try {
      const { untagged, deleted } = await removeImage(engine, id, { force: true, keepContent: true });
      result.removed.push(
        ...untagged.map((name) => `untagged: ${name}`),
        ...deleted.map((digest) => `deleted: ${digest}`),
      );
    } catch (error) {
      engine.warn((error as Error).message);
    }
  }
  const freed = await sweep(engine, options.choose ? {} : { olderThan: 0 });
  if (freed === undefined) {
    engine.warn("another tsbox is adding to the store: what it may need goes when it is done");
  }
  result.bytes = freed ?? 0;
  await collectGarbage(engine);
  return told(engine, "image", result);
}

/** Removes volumes that no container has: anonymous ones, or with `all` those of a name as well. */
export async function pruneVolumes(
  engine: Engine,
  choose: (volumes: ListedVolume[]) => ListedVolume[],
  { all = false }: { all?: boolean } = {},
): Promise<Pruned> {
  const chosen = choose(volumes(engine).filter(({ anonymous, users }) => (all || anonymous) && users.length === 0));
  const sizes = await treeSizes(
    engine,
    chosen.map(({ mountpoint }) => mountpoint),
  );
  const removed = await removeUnused(
    engine,
    chosen.map(({ name }) => name),
  );
  const bytes = chosen.reduce((sum, { name }, i) => sum + (removed.includes(name) ? (sizes[i] ?? 0) : 0), 0);
  return told(engine, "volume", { removed, bytes });
}

export interface PruneBuildCache {
  /** Every step, and what RUN steps cached; otherwise steps whose layer no image has. */
  all: boolean;
  /** Only steps that were not used since (milliseconds since 1970). */
  before?: number;
}

/** Forgets steps of builds. Their layers go with the sweep that follows: pruneImages(), or the next one. */
export async function pruneBuildCache(engine: Engine, { all, before }: PruneBuildCache): Promise<Pruned> {
  const layout = storeLayout(engine.root);
  const cache = new StepCache(engine.root);
  const steps = cache.steps();
  const mounts = join(buildCacheFolder(engine.root), "mounts");
  const result: Pruned = { removed: [], bytes: 0 };
  if (steps.length === 0 && !existsSync(mounts)) return result;
  // a build holds a lease from its first step to its last
  const release = claimStore(layout);
  if (!release) {
    engine.warn("another tsbox is adding to the store: the build cache stays");
    return result;
  }
  try {
    const needed = new Set(storedImages(engine).flatMap(({ manifest }) => manifest.layers.map(({ digest }) => digest)));
    for (const { key, result: made, used } of steps) {
      if (before !== undefined && used.getTime() >= before) continue;
      const dangling = made.layer !== undefined && !needed.has(made.layer.digest);
      if (!all && !dangling) continue;
      cache.forget(key);
      result.removed.push(key);
      if (made.layer && dangling) noteRemoved(layout, [made.layer.digest, made.layer.chainID]);
    }
    if (all && before === undefined && existsSync(mounts)) {
      [result.bytes = 0] = await treeSizes(engine, [mounts]);
      await removeTrees(engine, [mounts], engine.identity());
    }
  } finally {
    release();
  }
  return told(engine, "builder", result);
}
