import { existsSync, readdirSync, renameSync, rmSync, type Stats, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import type { Digest } from "../oci/types.ts";
import { type StoreLayout, storeLayout } from "../store/layout.ts";
import { claimStore, notedRemoved, noteSwept } from "../store/lease.ts";
import { type Reachable, reachable } from "../store/reachable.ts";
import { stagingFolder } from "../store/staging.ts";
import type { Engine } from "./engine.ts";
import { sweepListings } from "./explore/listing-cache.ts";
import { layerSize } from "./layer-size.ts";
import { removeTrees } from "./remove-trees.ts";
import { storedImages } from "./stored-image.ts";

const DAY = 86_400_000;

export interface SweepOptions {
  /** Only what is older, in milliseconds: a pull that failed a moment ago is often tried again. */
  olderThan?: number;
}

/** Something that nothing leads to. */
export interface Orphan {
  path: string;
  /** A blob's digest or a layer's chainID; a download that was broken off has none. */
  digest?: Digest;
  bytes: number;
}

/**
 * Removes blobs, unpacked layers and broken-off downloads that neither an image nor a container needs. Returns the bytes that were freed; undefined when
 * another process is adding to the store, and nothing was done.
 */
export async function sweep(engine: Engine, options: SweepOptions = {}): Promise<number | undefined> {
  const layout = storeLayout(engine.root);
  const release = claimStore(layout);
  if (!release) return undefined;
  try {
    const orphans = findOrphans(engine, options.olderThan ?? DAY);
    for (const { path } of orphans.files) rmSync(path, { force: true });
    const kept = await removeLayers(engine, layout, orphans.layers);
    removeLocks(layout);
    sweepListings(layout, () => storedImages(engine).flatMap(({ config }) => config.rootfs.diff_ids));
    noteSwept(layout);
    return [...orphans.files, ...orphans.layers]
      .filter((orphan) => !kept.has(orphan.path))
      .reduce((sum, { bytes }) => sum + bytes, 0);
  } finally {
    release();
  }
}

/** What a sweep would remove. */
export function findOrphans(engine: Engine, olderThan: number): { files: Orphan[]; layers: Orphan[] } {
  const layout = storeLayout(engine.root);
  const removed = notedRemoved(layout);
  let needed: Reachable;
  try {
    needed = reachable(layout);
  } catch {
    // a damaged image: `system check` tells, and repairs
    return { files: [], layers: [] };
  }
  const lowers = lowersInUse(engine);
  const ripe = (digest: string, found: Stats) => removed.has(digest) || Date.now() - found.mtimeMs >= olderThan;
  const blobs = dirname(layout.blob(`sha256:${"0".repeat(64)}`));
  const files = names(blobs).flatMap((name): Orphan[] => {
    const digest: Digest = `sha256:${name}`;
    const path = join(blobs, name);
    const found = statSync(path, { throwIfNoEntry: false });
    return found && !needed.blobs.has(digest) && ripe(digest, found) ? [{ path, digest, bytes: found.size }] : [];
  });
  for (const name of names(layout.tmp)) {
    if (!name.endsWith(".partial")) continue;
    const path = join(layout.tmp, name);
    const found = statSync(path, { throwIfNoEntry: false });
    if (found && ripe("", found)) files.push({ path, bytes: found.size });
  }
  const layers = names(layout.layers).flatMap((key) =>
    names(join(layout.layers, key)).flatMap((name): Orphan[] => {
      const digest: Digest = `sha256:${name}`;
      const path = join(layout.layers, key, name);
      const found = statSync(path, { throwIfNoEntry: false });
      if (!found?.isDirectory() || needed.layers.has(digest) || lowers.has(path) || !ripe(digest, found)) return [];
      return [{ path, digest, bytes: layerSize(path) }];
    }),
  );
  return { files, layers };
}

/** Folders of unpacked layers that containers are made of. */
export function lowersInUse(engine: Engine): Set<string> {
  return new Set(engine.containers.all().flatMap((record) => record.lowers.map((lower) => dirname(lower))));
}

/**
 * Out of their places in one step each: half a layer must never look like a whole one. A `run` takes no lease: the record that it wrote meanwhile is
 * looked for once they are away, and what it needs is put back. Returns what was.
 */
async function removeLayers(engine: Engine, layout: StoreLayout, layers: Orphan[]): Promise<Set<string>> {
  const kept = new Set<string>();
  if (layers.length === 0) return kept;
  const gone = stagingFolder(layout);
  try {
    const moved = layers.map(({ path }) => ({
      path,
      away: join(gone.path, `${basename(dirname(path))}-${basename(path)}`),
    }));
    for (const { path, away } of moved) renameSync(path, away);
    const lowers = lowersInUse(engine);
    for (const { path, away } of moved) {
      if (!lowers.has(path) || existsSync(path)) continue;
      renameSync(away, path);
      kept.add(path);
    }
    await removeTrees(engine, [gone.path], engine.identity());
  } finally {
    gone.release();
  }
  return kept;
}

/** Whoever takes one of these holds a lease, so that now nobody does. */
function removeLocks(layout: StoreLayout): void {
  for (const name of names(layout.locks)) {
    if (/^(blob|layer)-/.test(name)) rmSync(join(layout.locks, name), { force: true });
  }
}

function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
