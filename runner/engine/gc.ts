import { rmSync } from "node:fs";
import { Cgroup } from "../cgroup/group.ts";
import type { ContainerRecord } from "../container/record.ts";
import { forgetStarts } from "../store/kept-starts.ts";
import { storeLayout } from "../store/layout.ts";
import { sweepIsDue } from "../store/lease.ts";
import { garbage } from "../store/staging.ts";
import { isAlive } from "../sys/process.ts";
import { containerState } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { removeTrees } from "./remove-trees.ts";

/** Containers that were to remove themselves (--rm), but whose monitor was killed before, or their `run`; those whose `rm` was; and the cgroups that such a monitor has left. */
async function removeLost(engine: Engine): Promise<void> {
  for (const record of engine.containers.all()) {
    const state = containerState(engine, record);
    const dead = state.status === "dead";
    if (state.reason === "lost" && state.cgroup !== "") new Cgroup(state.cgroup).remove();
    if (!dead && !(record.autoRemove && (state.reason === "lost" || isForsaken(engine, record, state.status))))
      continue;
    const { remove } = await import("./remove.ts");
    await remove(engine, record.id, { force: true, volumes: !dead || state.takesVolumes === true });
  }
}

/** Made by a `run` that was killed before it could start it. */
function isForsaken({ host }: Engine, { bootID, maker }: ContainerRecord, status: string): boolean {
  return (
    status === "created" && maker !== undefined && !(bootID === host.bootID && isAlive(maker.pid, maker.startTime))
  );
}

/** What killed processes left of containers. Verbs that change containers or volumes call it at their end. */
export async function sweepContainers(engine: Engine): Promise<void> {
  await removeLost(engine);
  await removeUnfinished(engine);
}

/** Longer than the making of a container takes, however slow the machine is. */
const MAKING = 60_000;

/** Folders and names of containers whose `run` was killed before their record was written. */
async function removeUnfinished(engine: Engine): Promise<void> {
  const { containers } = engine;
  const folders = containers.unfinished(Date.now() - MAKING);
  if (folders.length > 0) await removeTrees(engine, folders, engine.identity());
  containers.releaseStrayNames(Date.now() - MAKING);
}

/**
 * Removes what killed processes left in the store, and, when that is due, what nothing leads to. Called at their end by verbs that change the store, without
 * a lease, never on the way to a `run`.
 */
export async function collectGarbage(engine: Engine): Promise<void> {
  const layout = storeLayout(engine.root);
  const found = garbage(layout);
  const trees = found.filter((path) => !path.endsWith(".lock") && !path.endsWith(".partial"));
  try {
    await removeTrees(engine, trees, engine.identity());
    for (const path of found) rmSync(path, { force: true });
    forgetStarts(layout);
    await sweepContainers(engine);
    if (sweepIsDue(layout)) await (await import("./sweep.ts")).sweep(engine);
  } catch {
    // It stays garbage, for the next time; the verb's own result, or its error, matters more.
  }
}
