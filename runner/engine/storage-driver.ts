import { readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { TsboxError, visible } from "../base/error.ts";
import { STORAGE_DRIVERS, type StorageDriver } from "../plan/storage.ts";

/** How containers of a store get their root. */
export interface Storage {
  driver: StorageDriver;
  /** Overlay works with an upper directory in memory, whatever the store lies on: for `host`, which can't be copied. */
  memory: boolean;
  /** What is in the way of overlay; empty where nothing is. */
  why: string;
  /** Somebody named it. */
  forced: boolean;
}

/** What was found by trying, and where: another kernel or another file system is tried anew. */
export interface Remembered extends Omit<Storage, "forced"> {
  kernel: string;
  filesystem: number;
}

export const STORAGE_FILE = "storage.json";

/** `--storage-driver` or TSBOX_STORAGE_DRIVER; podman's name for a copy is known too. */
export function namedDriver(option: string | undefined, env: NodeJS.ProcessEnv): StorageDriver | undefined {
  const word = option ?? (env.TSBOX_STORAGE_DRIVER || undefined);
  if (word === undefined) return undefined;
  const known = word === "vfs" ? "copy" : STORAGE_DRIVERS.find((driver) => driver === word);
  if (known !== undefined) return known;
  throw new TsboxError(`Cannot use storage driver "${visible(word)}": there is none of this name`, {
    code: "USAGE",
    hint: `known are ${STORAGE_DRIVERS.join(", ")}`,
  });
}

/** Tried once a store, then read from a file of it. */
export async function findStorage(root: string, kernel: string, named: StorageDriver | undefined): Promise<Storage> {
  const found = async () => remembered(root, kernel) ?? (await import("./try-storage.ts")).tryStorage(root, kernel);
  if (named !== undefined) {
    const memory = named === "overlay" ? false : (await found()).memory;
    return { driver: named, memory, why: "", forced: true };
  }
  return { ...(await found()), forced: false };
}

function remembered(root: string, kernel: string): Remembered | undefined {
  try {
    const value = JSON.parse(readFileSync(join(root, STORAGE_FILE), "utf8")) as Remembered;
    const same = value.kernel === kernel && value.filesystem === statfsSync(root).type;
    return same && STORAGE_DRIVERS.includes(value.driver) ? value : undefined;
  } catch {
    return undefined;
  }
}
