import { copyFileSync, createReadStream, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../base/atomic-write.ts";
import { diskFault } from "../../base/disk-fault.ts";
import { TsboxError, visible } from "../../base/error.ts";
import { makeFolder } from "../../base/make-folder.ts";
import type { Engine } from "../../engine/engine.ts";
import { putBlobStream } from "../../store/blob-store.ts";
import type { BuiltLayer, StepResult } from "../../store/build-cache.ts";
import { storeLayout } from "../../store/layout.ts";
import type { StepSource } from "./import-steps.ts";
import { isStepKey, readStepRecord } from "./step-record.ts";

/*
 * `--cache-to type=local,dest=DIR` and `--cache-from type=local,src=DIR`: the steps of a build in a folder that goes to another machine, as `steps/KEY`
 * and `blobs/sha256/…`. A step's key says all that it depends on, and nothing of the machine.
 */

export class LocalSteps implements StepSource {
  readonly name: string;
  readonly #engine: Engine;
  readonly #folder: string;

  constructor(engine: Engine, folder: string) {
    this.#engine = engine;
    this.#folder = folder;
    this.name = `"${visible(folder)}"`;
  }

  async step(key: string): Promise<StepResult | undefined> {
    const path = join(this.#folder, "steps", key);
    if (!isStepKey(key) || !existsSync(path)) return undefined;
    const found = readStepRecord(JSON.parse(readFileSync(path, "utf8")));
    if (!found) throw new TsboxError(`Cannot use step ${key}: it has not the form of one`, { code: "INVALID_STEP" });
    return found;
  }

  async bring({ digest }: BuiltLayer): Promise<void> {
    const path = join(this.#folder, "blobs", digest.replace(":", "/"));
    const source = createReadStream(path, { highWaterMark: 1 << 20 });
    await putBlobStream(storeLayout(this.#engine.root), source, digest);
  }

  close(): void {}
}

/** Writes steps, with their blobs, into a folder. What is there already stays: it may be of other builds. */
export function keepInFolder(engine: Engine, folder: string, steps: ReadonlyMap<string, StepResult>): void {
  const layout = storeLayout(engine.root);
  try {
    for (const name of ["steps", "blobs/sha256"]) makeFolder(join(folder, name));
    for (const [key, result] of steps) {
      const { layer } = result;
      if (layer) {
        const path = join(folder, "blobs", layer.digest.replace(":", "/"));
        if (!existsSync(path)) copyFileSync(layout.blob(layer.digest), path);
      }
      writeFileAtomic(join(folder, "steps", key), JSON.stringify(result), 0o644);
    }
  } catch (cause) {
    const fault = diskFault(cause);
    const why = fault?.state ?? (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new TsboxError(`Cannot write the cache to "${visible(folder)}": ${why}`, {
      code: "CACHE_TO",
      cause,
      exitCode: 1,
    });
  }
}
