import { existsSync, mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { randomHex } from "../base/random.ts";
import { lockIsFree, tryLock, unlock } from "../sys/native.ts";
import { makeStore, type StoreLayout } from "./layout.ts";

/**
 * Things that are being made lie in `tmp`, each beside a lock file that its maker holds: when the maker is killed, the lock is free, and the sweep
 * knows the thing for garbage.
 */
export interface Staged {
  path: string;
  /** Gives the lock up. What has not been renamed away is garbage from then on. */
  release(): void;
}

const DAY = 86_400_000;

function stage(layout: StoreLayout): Staged {
  makeStore(layout);
  for (;;) {
    const path = join(layout.tmp, `stage-${randomHex(8)}`);
    const held = tryLock(`${path}.lock`);
    // a sweep may look at the lock, and remove it, between its making and its taking
    if (held === undefined) continue;
    if (!existsSync(`${path}.lock`)) {
      unlock(held);
      continue;
    }
    return {
      path,
      release() {
        unlock(held);
        rmSync(`${path}.lock`, { force: true });
      },
    };
  }
}

export function stagingFile(layout: StoreLayout): Staged {
  const staged = stage(layout);
  return {
    path: staged.path,
    release() {
      rmSync(staged.path, { force: true });
      staged.release();
    },
  };
}

/** A new folder; the caller removes its content if it is not renamed away (files in it may belong to subordinate ids). */
export function stagingFolder(layout: StoreLayout): Staged {
  const staged = stage(layout);
  mkdirSync(staged.path, { mode: 0o711 });
  return staged;
}

/** What killed processes left: staged things whose lock is free, partial downloads of more than a week ago. */
export function garbage(layout: StoreLayout): string[] {
  let names: string[];
  try {
    names = readdirSync(layout.tmp);
  } catch {
    return [];
  }
  return names
    .filter((name) => {
      const path = join(layout.tmp, name);
      if (name.endsWith(".partial")) return isOld(path, 7 * DAY);
      if (name.endsWith(".lock")) return lockIsFree(path);
      return lockIsFree(`${path}.lock`);
    })
    .map((name) => join(layout.tmp, name));
}

function isOld(path: string, age: number): boolean {
  try {
    return Date.now() - statSync(path).mtimeMs > age;
  } catch {
    return false;
  }
}
