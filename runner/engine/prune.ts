import { containerSizes, isActive } from "./disk-usage.ts";
import type { Engine } from "./engine.ts";
import { collectGarbage } from "./gc.ts";
import { images, type ListedImage } from "./images.ts";
import { type ListedContainer, list } from "./list.ts";
import { remove } from "./remove.ts";
import { removeImage } from "./remove-image.ts";
import { sweep } from "./sweep.ts";
import { treeSizes } from "./tree-size.ts";
import { type ListedVolume, removeUnused, volumes } from "./volumes.ts";

/** What a prune removed, and the bytes that it freed. */
export interface Pruned {
  removed: string[];
  bytes: number;
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
  return result;
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
  return result;
}

/** Removes anonymous volumes that no container has. */
export async function pruneVolumes(
  engine: Engine,
  choose: (volumes: ListedVolume[]) => ListedVolume[],
): Promise<Pruned> {
  const chosen = choose(volumes(engine).filter(({ anonymous, users }) => anonymous && users.length === 0));
  const sizes = await treeSizes(
    engine,
    chosen.map(({ mountpoint }) => mountpoint),
  );
  const removed = await removeUnused(
    engine,
    chosen.map(({ name }) => name),
  );
  const bytes = chosen.reduce((sum, { name }, i) => sum + (removed.includes(name) ? (sizes[i] ?? 0) : 0), 0);
  return { removed, bytes };
}
