import { lstatSync, readdirSync } from "node:fs";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { EVENTS_FD, startHelper } from "../helper/client.ts";
import { storePlan, storeRootOps } from "../plan/build.ts";
import type { Identity } from "../plan/idmap.ts";
import type { Engine } from "./engine.ts";
import { explainCommand } from "./explain-command.ts";

export interface TreeSize {
  /** Of all that is no directory, as docker counts; a file of several names counts once. */
  bytes: number;
  /** Some of it could not be looked at. */
  closed: boolean;
}

export function treeSize(root: string): TreeSize {
  const result = { bytes: 0, closed: false };
  const seen = new Set<string>();
  // names are bytes: what is not UTF-8 must be found again
  const folders: Buffer[] = [Buffer.from(root)];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    try {
      for (const entry of readdirSync(folder, { withFileTypes: true, encoding: "buffer" }) as unknown as Entry[]) {
        const path = Buffer.concat([folder, SLASH, entry.name]);
        if (entry.isDirectory()) {
          folders.push(path);
          continue;
        }
        const { dev, ino, nlink, size } = lstatSync(path);
        const key = `${dev}:${ino}`;
        if (nlink > 1 && seen.has(key)) continue;
        if (nlink > 1) seen.add(key);
        result.bytes += size;
      }
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EACCES" || code === "EPERM") result.closed = true;
      else if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
    }
  }
  return result;
}

const SLASH = Buffer.from("/");

interface Entry {
  name: Buffer;
  isDirectory(): boolean;
}

/** Bytes of each tree. Those with folders that belong to subordinate ids are measured inside the user namespace, where they are ours. */
export async function treeSizes(engine: Engine, paths: string[], identity?: Identity): Promise<number[]> {
  const sizes = paths.map(treeSize);
  const closed = paths.filter((_, i) => sizes[i]?.closed);
  if (closed.length > 0) {
    const inside = await measureInside(closed, identity ?? engine.identity());
    closed.forEach((path, i) => {
      const found = inside[i];
      if (found !== undefined) sizes[paths.indexOf(path)] = { bytes: found, closed: false };
    });
  }
  return sizes.map(({ bytes }) => bytes);
}

/** This program once more, in the namespace: the verb `measure` prints a number for each path. */
async function measureInside(paths: string[], identity: Identity): Promise<number[]> {
  const plan = storePlan(
    identity,
    [
      ...storeRootOps(),
      { op: "env", variables: ["PATH=/usr/bin:/bin"] },
      { op: "exec", argv: [...explainCommand().slice(0, -1), "measure", "--", ...paths] },
    ],
    EVENTS_FD,
  );
  const run = startHelper(plan, ["ignore", "pipe", "pipe"]);
  const [told] = await Promise.all([text(run.stdout as Readable), run.done]);
  return told.split("\n").filter(Boolean).map(Number);
}
