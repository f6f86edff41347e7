import { closeSync, fsyncSync, openSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { dirname } from "node:path";
import { randomHex } from "./random.ts";

/**
 * Replaces a file's content in one step: whoever reads it, or whatever kills this process, finds the old content or the new. The
 * name beside it that serves meanwhile starts with `.new-`, so that a sweep can tell it.
 */
export function writeFileAtomic(path: string, data: string | Uint8Array, mode = 0o600): void {
  const staged = `${dirname(path)}/.new-${randomHex(8)}`;
  try {
    const fd = openSync(staged, "wx", mode);
    try {
      const bytes = typeof data === "string" ? Buffer.from(data) : data;
      for (let written = 0; written < bytes.length; ) written += writeSync(fd, bytes, written);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(staged, path);
  } catch (error) {
    rmSync(staged, { force: true });
    throw error;
  }
  syncDirectory(dirname(path));
}

/**
 * The same for what can be made anew: the old content or the new is found while the machine runs, but after a power cut it may be neither. Nothing waits for
 * the disk.
 */
export function writeFileQuick(path: string, data: string, mode = 0o600): void {
  const staged = `${dirname(path)}/.new-${randomHex(8)}`;
  try {
    writeFileSync(staged, data, { flag: "wx", mode });
    renameSync(staged, path);
  } catch (error) {
    rmSync(staged, { force: true });
    throw error;
  }
}

/** Makes renames in a directory outlast a power cut. */
export function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
