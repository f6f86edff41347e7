import { existsSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { storeLayout } from "../store/layout.ts";
import { claimStore } from "../store/lease.ts";
import type { Engine } from "./engine.ts";
import { remove } from "./remove.ts";
import { removeTrees } from "./remove-trees.ts";

/** What only stores have: a folder without it is none, and is left alone. */
function isStore(root: string): boolean {
  return existsSync(join(root, "oci", "oci-layout")) || existsSync(join(root, "containers"));
}

/** Ends and removes every container, then the whole store, volumes too. */
export async function reset(engine: Engine): Promise<void> {
  const { root } = engine;
  if (!existsSync(root)) return;
  if (!isStore(root) && readdirSync(root).length > 0) {
    throw new TsboxError(`Cannot reset "${root}": it is no store of tsbox`, {
      code: "NOT_A_STORE",
      hint: "--root names the folder of a store",
      exitCode: 1,
    });
  }
  for (const { id } of engine.containers.all()) await remove(engine, id, { force: true });
  const release = claimStore(storeLayout(root));
  if (!release) {
    throw new TsboxError(`Cannot reset "${root}": another tsbox is adding to it`, {
      code: "STORE_IN_USE",
      hint: "wait until it has ended",
      exitCode: 1,
    });
  }
  try {
    await removeTrees(
      engine,
      readdirSync(root).map((name) => join(root, name)),
      engine.identity(),
    );
    removeFolder(root);
  } finally {
    release();
  }
}

/** The store's own folder may be a mount point, or lie where its owner removes nothing: then it stays, empty. */
function removeFolder(root: string): void {
  try {
    rmSync(root, { recursive: true, force: true });
  } catch (error) {
    if (readdirSync(root).length > 0) throw error;
  }
}
