import { lstatSync, mkdirSync, readdirSync, renameSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { writeFileAtomic } from "../base/atomic-write.ts";
import { lock, unlock } from "../sys/native.ts";
import { layersBelongHere, originFile, originText, readOrigin } from "./layer-store.ts";
import { makeStore, type StoreLayout } from "./layout.ts";
import { stagingFolder } from "./staging.ts";

/** Before layers are unpacked: puts those aside that were unpacked elsewhere (layer-store.ts tells why). */
export async function claimLayers(layout: StoreLayout, key: string, map: string): Promise<void> {
  if (readOrigin(layout, key) !== undefined && layersBelongHere(layout, key, map)) return;
  makeStore(layout);
  const held = await lock(layout.lock(`layers-${key}`));
  try {
    const folder = join(layout.layers, key);
    const told = readOrigin(layout, key);
    if (told !== undefined && told !== originText(layout, key, map) && !isCopyWithOwners(folder, told, map)) {
      const aside = stagingFolder(layout);
      renameSync(folder, join(aside.path, basename(folder)));
      aside.release();
    }
    mkdirSync(folder, { recursive: true, mode: 0o711 });
    writeFileAtomic(originFile(layout, key), originText(layout, key, map), 0o644);
  } finally {
    unlock(held);
  }
}

/** So many names are looked at before a copy is taken for one without owners. */
const PATIENCE = 50_000;

/** For the same map, and somebody else than its first owner has a file in it: only root can have made such a copy, and whole. */
function isCopyWithOwners(folder: string, told: string, map: string): boolean {
  if (told.slice(told.indexOf(" ") + 1) !== map) return false;
  const { uid } = statSync(folder);
  let left = PATIENCE;
  const folders = [folder];
  for (let next = folders.pop(); next !== undefined; next = folders.pop()) {
    try {
      for (const entry of readdirSync(next, { withFileTypes: true })) {
        if (--left < 0) return false;
        const path = join(next, entry.name);
        if (lstatSync(path).uid !== uid) return true;
        if (entry.isDirectory()) folders.push(path);
      }
    } catch {
      // closed to us: it tells nothing
    }
  }
  return false;
}
