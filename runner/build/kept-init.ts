import { existsSync, lstatSync } from "node:fs";
import { join } from "node:path";
import { initLayerPath } from "../store/layer-store.ts";

/** The folders that an init layer has; in it they look as in the tree that it was made for. */
const FOLDERS = ["proc", "sys", "dev", "etc"];

/**
 * An init layer that was made for a tree below this one and fits it as well: the layers since then left its folders as they were. Steps follow each
 * other on trees that nobody ever runs; making one for each would cost two more helpers a step.
 */
export function keptInit(lowers: readonly string[]): string | undefined {
  for (let depth = 0; depth < lowers.length; depth++) {
    const init = initLayerPath(lowers.slice(depth));
    if (existsSync(init)) return init;
    if (!FOLDERS.every((name) => unchanged(join(lowers[depth] as string, name), lowers.slice(depth + 1), name)))
      return undefined;
  }
  return undefined;
}

/** The layer says nothing of the folder, or just what the layers below it say. */
function unchanged(path: string, below: readonly string[], name: string): boolean {
  const own = lstatSync(path, { throwIfNoEntry: false });
  if (!own) return true;
  const other = below.map((lower) => lstatSync(join(lower, name), { throwIfNoEntry: false })).find(Boolean);
  if (!other) return false;
  return (
    own.isDirectory() &&
    other.isDirectory() &&
    own.mode === other.mode &&
    own.uid === other.uid &&
    own.gid === other.gid
  );
}
