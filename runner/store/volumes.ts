import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-write.ts";
import { TsboxError, visible } from "../base/error.ts";
import { lock, unlock } from "../sys/native.ts";
import { makeStore, type StoreLayout } from "./layout.ts";
import { stagingFolder } from "./staging.ts";

/**
 * Volumes lie in `volumes/NAME`: `data` is the content, `meta.json` what is known of it, `lock` is the helper's (how far the first copy
 * from an image is). A volume appears and goes in one step, by a rename; who makes or removes one, and who makes a container that needs
 * one, holds the lock `volumes`, so that none goes between being looked for and being used.
 */
export interface VolumeMeta {
  name: string;
  /** RFC 3339. */
  created: string;
  labels: Record<string, string>;
  /** As mount(8): type, device, o. */
  options: Record<string, string>;
  /** Made for one container, which named none. */
  anonymous: boolean;
}

export function volumeFolder(layout: StoreLayout, name: string): string {
  return join(layout.root, "volumes", checkVolumeName(name));
}

/** Docker's rule. No name can be a path. */
export function checkVolumeName(name: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(name) && name.length <= 255) return name;
  throw new TsboxError(`Cannot use volume "${visible(name)}": not a valid name`, {
    code: "INVALID_NAME",
    hint: "letters, digits, underscores, dots and hyphens, starting with a letter or digit",
  });
}

export function readVolume(layout: StoreLayout, name: string): VolumeMeta | undefined {
  try {
    return JSON.parse(readFileSync(join(volumeFolder(layout, name), "meta.json"), "utf8")) as VolumeMeta;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    if (error instanceof SyntaxError) {
      throw new TsboxError(`Cannot read volume "${name}": its meta.json is damaged`, { code: "STORE", cause: error });
    }
    throw error;
  }
}

/** All volumes, by name. */
export function listVolumes(layout: StoreLayout): VolumeMeta[] {
  let names: string[];
  try {
    // a link is a name that one has had
    const entries = readdirSync(join(layout.root, "volumes"), { withFileTypes: true });
    names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
  return names.sort().flatMap((name) => readVolume(layout, name) ?? []);
}

/** A volume with empty data, which is the caller's until a container has used it. The lock is the caller's to hold. */
export function makeVolume(layout: StoreLayout, meta: VolumeMeta): void {
  const folder = volumeFolder(layout, meta.name);
  mkdirSync(join(layout.root, "volumes"), { recursive: true, mode: 0o711 });
  const staged = stagingFolder(layout);
  try {
    mkdirSync(join(staged.path, "data"), { mode: 0o755 });
    writeFileSync(join(staged.path, "meta.json"), JSON.stringify(meta), { mode: 0o600 });
    renameSync(staged.path, folder);
  } finally {
    staged.release();
  }
}

/**
 * Gives a volume another name, which is returned, and leaves a link under the old one, so that who removes that removes nothing of it. One
 * that has been renamed before keeps its name. The lock is the caller's to hold.
 */
export function renameVolume(layout: StoreLayout, name: string, to: string): string {
  const folder = volumeFolder(layout, name);
  const meta = readVolume(layout, name);
  if (meta === undefined) {
    throw new TsboxError(`Cannot use volume "${name}": it has gone with its container`, { code: "NO_SUCH_VOLUME" });
  }
  if (lstatSync(folder).isSymbolicLink()) return meta.name;
  writeFileAtomic(join(folder, "meta.json"), JSON.stringify({ ...meta, name: to }));
  renameSync(folder, volumeFolder(layout, to));
  symlinkSync(to, folder);
  return to;
}

/** Takes a volume out of the store; `remove` deletes what is at the path it is given, and may be cut off. The lock is the caller's to hold. */
export async function takeVolume(
  layout: StoreLayout,
  name: string,
  remove: (path: string) => Promise<void>,
): Promise<void> {
  const staged = stagingFolder(layout);
  try {
    // over the empty folder: from here on it is garbage, whatever becomes of us
    renameSync(volumeFolder(layout, name), staged.path);
    await remove(staged.path);
  } finally {
    staged.release();
  }
}

/** Runs `work` while no other process makes or removes volumes. */
export async function withVolumes<T>(layout: StoreLayout, work: () => T | Promise<T>): Promise<T> {
  makeStore(layout);
  const held = await lock(layout.lock("volumes"));
  try {
    return await work();
  } finally {
    unlock(held);
  }
}
