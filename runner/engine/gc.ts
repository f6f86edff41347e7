import { rmSync } from "node:fs";
import { storeLayout } from "../store/layout.ts";
import { sweepIsDue } from "../store/lease.ts";
import { garbage } from "../store/staging.ts";
import type { Engine } from "./engine.ts";
import { removeTrees } from "./remove-trees.ts";

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
    if (sweepIsDue(layout)) await (await import("./sweep.ts")).sweep(engine);
  } catch {
    // It stays garbage, for the next time; the verb's own result, or its error, matters more.
  }
}
