import { appendFileSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import type { Digest } from "../oci/types.ts";
import { lock, tryLock, unlock } from "../sys/native.ts";
import { makeStore, type StoreLayout } from "./layout.ts";

/**
 * Adding and sweeping. Whoever adds to the store (pull, load, import, commit, build) holds a lease from before it looks which blobs and layers are there
 * until a name, or a record, leads to them. Whoever removes what nothing leads to needs the store without leases, and never waits for that: what it could
 * not remove is left to the next sweep, which the last adder makes when it ends.
 */
export type Release = () => void;

export async function leaseStore(layout: StoreLayout): Promise<Release> {
  try {
    makeStore(layout);
    return once(await lock(layout.lock("lease"), "shared"));
  } catch (error) {
    // where nothing can be written, nothing is swept either: those who only read need no lease
    if ((error as NodeJS.ErrnoException).code === "EROFS") return () => {};
    throw error;
  }
}

/** Undefined while anybody holds a lease. */
export function claimStore(layout: StoreLayout): Release | undefined {
  makeStore(layout);
  const held = tryLock(layout.lock("lease"));
  return held === undefined ? undefined : once(held);
}

function once(held: number): Release {
  let open = true;
  return () => {
    if (open) unlock(held);
    open = false;
  };
}

/** What was removed on purpose, and need not wait for its age: written down before the sweep, so that a killed one is made up for. */
export function noteRemoved(layout: StoreLayout, digests: readonly Digest[]): void {
  makeStore(layout);
  if (digests.length > 0) appendFileSync(layout.lock("removed"), digests.map((digest) => `${digest}\n`).join(""));
}

export function notedRemoved(layout: StoreLayout): Set<string> {
  try {
    return new Set(readFileSync(layout.lock("removed"), "utf8").split("\n").filter(Boolean));
  } catch {
    return new Set();
  }
}

/** After a sweep. */
export function noteSwept(layout: StoreLayout): void {
  rmSync(layout.lock("removed"), { force: true });
  const path = layout.lock("swept");
  writeFileSync(path, "");
  utimesSync(path, new Date(), new Date());
}

const DAY = 86_400_000;

/** Something was removed, or the last sweep was long ago: what failed pulls left is looked for once a day. */
export function sweepIsDue(layout: StoreLayout): boolean {
  if (age(layout.lock("removed")) !== undefined) return true;
  const since = age(layout.lock("swept"));
  if (since !== undefined) return since > DAY;
  // a store that never was swept is new
  writeFileSync(layout.lock("swept"), "");
  return false;
}

function age(path: string): number | undefined {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return undefined;
  }
}
