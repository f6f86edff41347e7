import { readFileSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { writeFileQuick } from "../base/atomic-write.ts";
import { TsboxError, visible } from "../base/error.ts";
import { makeFolder } from "../base/make-folder.ts";
import { checkFeatures, type FeatureCheck } from "../helper/client.ts";
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
interface Remembered extends Omit<Storage, "forced"> {
  kernel: string;
  filesystem: number;
}

export const STORAGE_FILE = "storage.json";

/** The features that decide; `tsbox doctor` has tried them already. */
export const STORAGE_FEATURES = [
  "user-namespace",
  "mount-namespace",
  "overlay-userxattr",
  "overlay-memory",
  "user-xattr",
  "whiteout-device",
  "fuse-overlayfs",
];

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
export function findStorage(root: string, kernel: string, named: StorageDriver | undefined): Storage {
  const known = remembered(root, kernel);
  if (named !== undefined) {
    const memory = named === "overlay" ? false : (known ?? trial(root, kernel)).memory;
    return { driver: named, memory, why: "", forced: true };
  }
  return { ...(known ?? trial(root, kernel)), forced: false };
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

function trial(root: string, kernel: string): Omit<Storage, "forced"> {
  makeFolder(root, 0o700);
  const first = checkFeatures(root, ["user-namespace", "mount-namespace", "overlay-userxattr"]);
  const easy = first.every(({ ok }) => ok);
  return decide(root, kernel, easy ? first : checkFeatures(root, STORAGE_FEATURES));
}

/** What the features say. It is kept, unless namespaces themselves are refused: then nothing was learnt about the store. */
export function decide(root: string, kernel: string, checks: readonly FeatureCheck[]): Omit<Storage, "forced"> {
  const found = new Map(checks.map((check) => [check.feature, check]));
  const ok = (feature: string) => found.get(feature)?.ok === true;
  if (!ok("user-namespace") || !ok("mount-namespace")) return { driver: "overlay", memory: false, why: "" };
  const overlay = found.get("overlay-userxattr");
  const storage: Omit<Storage, "forced"> = overlay?.ok
    ? { driver: "overlay", memory: true, why: "" }
    : {
        // fuse-overlayfs reads the layers' marks only as devices and xattrs
        driver: ok("fuse-overlayfs") && ok("user-xattr") && ok("whiteout-device") ? "fuse-overlayfs" : "copy",
        memory: ok("overlay-memory"),
        why: [overlay?.errno, overlay?.detail].filter(Boolean).join(", "),
      };
  try {
    const value: Remembered = { ...storage, kernel, filesystem: statfsSync(root).type };
    writeFileQuick(join(root, STORAGE_FILE), `${JSON.stringify(value)}\n`);
  } catch {
    // a store that cannot be written to is told by what needs to write
  }
  return storage;
}
