import { rmSync } from "node:fs";
import { storeLayout } from "../store/layout.ts";
import { garbage } from "../store/staging.ts";
import type { Engine } from "./engine.ts";
import { removeTrees } from "./remove-trees.ts";

/** Removes what killed processes left in the store. Called by verbs that change the store, never on the way to a `run`. */
export async function collectGarbage(engine: Engine): Promise<void> {
  const found = garbage(storeLayout(engine.root));
  const trees = found.filter((path) => !path.endsWith(".lock") && !path.endsWith(".partial"));
  try {
    await removeTrees(engine, trees, engine.identity());
    for (const path of found) rmSync(path, { force: true });
  } catch {
    // It stays garbage, for the next time; the verb's own result, or its error, matters more.
  }
}
