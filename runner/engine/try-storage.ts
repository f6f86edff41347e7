import { statfsSync } from "node:fs";
import { join } from "node:path";
import { writeFileQuick } from "../base/atomic-write.ts";
import { makeFolder } from "../base/make-folder.ts";
import { checkFeatures, type FeatureCheck } from "../helper/client.ts";
import { type Remembered, STORAGE_FILE, type Storage } from "./storage-driver.ts";

/** What was found, before anybody names another driver. */
export type FoundStorage = Omit<Storage, "forced">;

/** The features that decide; `tsbox doctor` has tried them already. */
const STORAGE_FEATURES = [
  "user-namespace",
  "mount-namespace",
  "overlay-userxattr",
  "overlay-memory",
  "user-xattr",
  "whiteout-device",
  "fuse-overlayfs",
];

export function tryStorage(root: string, kernel: string): FoundStorage {
  makeFolder(root, 0o700);
  const first = checkFeatures(root, ["user-namespace", "mount-namespace", "overlay-userxattr"]);
  const easy = first.every(({ ok }) => ok);
  return decide(root, kernel, easy ? first : checkFeatures(root, STORAGE_FEATURES));
}

/** What the features say. It is kept, unless namespaces themselves are refused: then nothing was learnt about the store. */
export function decide(root: string, kernel: string, checks: readonly FeatureCheck[]): FoundStorage {
  const found = new Map(checks.map((check) => [check.feature, check]));
  const ok = (feature: string) => found.get(feature)?.ok === true;
  if (!ok("user-namespace") || !ok("mount-namespace")) return { driver: "overlay", memory: false, why: "" };
  const overlay = found.get("overlay-userxattr");
  const storage: FoundStorage = overlay?.ok
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
