import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { writeFileQuick } from "../base/atomic-write.ts";
import type { Digest } from "../oci/types.ts";

/** A layer that a step made. */
export interface BuiltLayer {
  diffID: Digest;
  digest: Digest;
  size: number;
  mediaType: string;
  /** Length of its tar. */
  tarSize: number;
  /** Of the tree that it completes. */
  chainID: Digest;
}

/** What a step gave: a layer, or none because it changed no file. */
export interface StepResult {
  layer?: BuiltLayer;
  /** When it ran: the image of a build that is all from the cache is the same image. */
  created: string;
}

/**
 * What makes a step's result, by name: its parent, the instruction once expanded, digests of what is copied. The key is the digest of all of it, and
 * `--explain` compares it with the last build's.
 */
export type KeyParts = Record<string, string | string[]>;

export function stepKey(parts: KeyParts): string {
  const sorted = Object.entries(parts).sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex");
}

/** Folder of the build cache in the store: `steps` by key, `digests` of trees, `hashes` of contexts, `last` builds, `mounts` of RUN. */
export function buildCacheFolder(root: string): string {
  return join(root, "cache", "build");
}

/** Small JSON files, each written in one step, so that a killed build leaves whole ones. */
export class StepCache {
  readonly #folder: string;
  readonly #keep: string;

  constructor(root: string) {
    this.#folder = buildCacheFolder(root);
    this.#keep = join(root, "keep");
  }

  get(key: string): StepResult | undefined {
    const found = this.read<StepResult>("steps", key);
    // what was used last is kept longest
    if (found) this.#touch(join(this.#folder, "steps", key));
    return found;
  }

  put(key: string, result: StepResult): void {
    const { layer } = result;
    if (layer) {
      // before the step: what it names must not be swept
      mkdirSync(this.#keep, { recursive: true, mode: 0o700 });
      writeFileQuick(join(this.#keep, `build-${key}`), `${layer.digest}\n${layer.chainID}\n`);
    }
    this.write("steps", key, result);
  }

  forget(key: string): void {
    rmSync(join(this.#folder, "steps", key), { force: true });
    rmSync(join(this.#keep, `build-${key}`), { force: true });
  }

  read<T>(kind: string, name: string): T | undefined {
    const path = join(this.#folder, kind, name);
    if (!existsSync(path)) return undefined;
    try {
      return JSON.parse(readFileSync(path, "utf8")) as T;
    } catch {
      return undefined; // a damaged entry is none
    }
  }

  write(kind: string, name: string, value: unknown): void {
    mkdirSync(join(this.#folder, kind), { recursive: true, mode: 0o700 });
    writeFileQuick(join(this.#folder, kind, name), JSON.stringify(value));
  }

  #touch(path: string): void {
    try {
      utimesSync(path, new Date(), new Date());
    } catch {
      // a pruned entry was good for this once
    }
  }

  /** Every step that is kept, with the time of its last use. */
  steps(): { key: string; result: StepResult; used: Date }[] {
    const folder = join(this.#folder, "steps");
    if (!existsSync(folder)) return [];
    return readdirSync(folder).flatMap((key) => {
      const result = this.read<StepResult>("steps", key);
      return result ? [{ key, result, used: statSync(join(folder, key)).mtime }] : [];
    });
  }
}
