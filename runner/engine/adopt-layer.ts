import { existsSync, renameSync, rmSync, statSync, utimesSync } from "node:fs";
import { chainIDs } from "../oci/chain.ts";
import type { Digest } from "../oci/types.ts";
import type { Identity } from "../plan/idmap.ts";
import { commitLayer, hasLayer } from "../store/layer-store.ts";
import { makeStore, storeLayout } from "../store/layout.ts";
import { stagingFolder } from "../store/staging.ts";
import { lock, unlock } from "../sys/native.ts";
import type { Engine } from "./engine.ts";
import type { PackedLayer } from "./pack-layer.ts";

export interface AdoptOptions {
  /** The tree that was packed. Nothing may use it any more. */
  upper: string;
  /** What it lay on, topmost first. */
  lowers: string[];
  packed: PackedLayer;
  /** Of the layers below, bottom first. */
  parents: Digest[];
  /** Under which it was written; its key is that of an image's unpacked layers. */
  identity: Identity;
}

/**
 * Makes an upper directory, once it was packed, an unpacked layer of the store, by a rename: overlay reads its marks in a lower directory as it wrote
 * them in the upper one. False where the tree is not just what unpacking the blob would make, or is not ours to move; it then stays where it is, and the
 * layer is unpacked when it is first needed. A layer that is there already is left alone.
 */
export async function adoptLayer(engine: Engine, options: AdoptOptions): Promise<boolean> {
  const { upper, lowers, packed, parents, identity } = options;
  if (!packed.exact) return false;
  const layout = storeLayout(engine.root);
  makeStore(layout);
  const chainID = chainIDs([...parents, packed.diffID]).at(-1) as Digest;
  const held = await lock(layout.lock(`layer-${identity.key}-${chainID.slice(7)}`));
  try {
    if (hasLayer(layout, identity.key, chainID)) return true;
    const staged = stagingFolder(layout);
    try {
      // "/" keeps the time that it has below: the upper one's says when the container was made
      const [below] = lowers;
      const { atime, mtime } = statSync(below ?? upper);
      const time = below === undefined ? new Date(0) : mtime;
      utimesSync(upper, below === undefined ? time : atime, time);
      renameSync(upper, `${staged.path}/root`);
      const meta = { diffID: packed.diffID, chainID, size: packed.tarSize, entries: packed.entries };
      commitLayer(layout, identity.key, staged, meta, packed.deferred);
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "EACCES" && code !== "EPERM" && code !== "EXDEV") throw error;
      // container root is a subordinate id: only inside the user namespace is the folder ours
      return false;
    } finally {
      if (existsSync(staged.path)) {
        if (existsSync(`${staged.path}/root`)) renameSync(`${staged.path}/root`, upper);
        rmSync(staged.path, { recursive: true, force: true });
      }
      staged.release();
    }
  } finally {
    unlock(held);
  }
}
