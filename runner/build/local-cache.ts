import { copyFileSync, createReadStream, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-write.ts";
import { TsboxError, visible } from "../base/error.ts";
import { makeFolder } from "../base/make-folder.ts";
import type { Engine } from "../engine/engine.ts";
import { unpackOne } from "../engine/unpack-image.ts";
import type { Identity } from "../plan/idmap.ts";
import { blobFile, putBlobStream } from "../store/blob-store.ts";
import { hasBlob } from "../store/blobs.ts";
import type { StepResult } from "../store/build-cache.ts";
import { hasLayer } from "../store/layer-store.ts";
import { makeStore, storeLayout } from "../store/layout.ts";
import { chainOn, type ParentTree } from "./parent-tree.ts";

/*
 * `--cache-to type=local,dest=DIR` and `--cache-from type=local,src=DIR`: the steps of a build in a folder that goes to another machine, as `steps/KEY`
 * and `blobs/sha256/…`. A step's key says all that it depends on, and nothing of the machine.
 */

/** A step from such folders, its layer brought into the store; undefined: none has it. What its digests do not fit is not taken. */
export async function fetchStep(
  engine: Engine,
  identity: Identity,
  folders: readonly string[],
  key: string,
  parent: ParentTree,
): Promise<StepResult | undefined> {
  for (const folder of folders) {
    const result = readStep(join(folder, "steps", key));
    if (!result) continue;
    const { layer } = result;
    if (!layer) return result;
    if (layer.chainID !== chainOn(parent.chainID, layer.diffID)) continue;
    const layout = storeLayout(engine.root);
    makeStore(layout);
    if (!hasBlob(layout, layer.digest)) {
      const path = join(folder, "blobs", layer.digest.replace(":", "/"));
      if (!existsSync(path)) continue;
      await putBlobStream(layout, createReadStream(path, { highWaterMark: 1 << 20 }), layer.digest);
    }
    if (!hasLayer(layout, identity.key, layer.chainID)) {
      const expected = { diffID: layer.diffID, chainID: layer.chainID };
      await unpackOne(engine, identity, blobFile(layout, layer.digest), parent.lowers, expected);
    }
    return result;
  }
  return undefined;
}

function readStep(path: string): StepResult | undefined {
  if (!existsSync(path)) return undefined;
  try {
    const result = JSON.parse(readFileSync(path, "utf8")) as StepResult;
    const digests = result.layer ? [result.layer.digest, result.layer.diffID, result.layer.chainID] : [];
    const sound = typeof result.created === "string" && digests.every((one) => /^sha256:[0-9a-f]{64}$/.test(one));
    return sound ? result : undefined;
  } catch {
    return undefined; // a damaged entry is none
  }
}

/** Writes the steps of a build, with their blobs, into a folder. What is there already stays: it may be of other builds. */
export function keepSteps(engine: Engine, folder: string, steps: ReadonlyMap<string, StepResult>): void {
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
    const why = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new TsboxError(`Cannot write the cache to "${visible(folder)}": ${why}`, {
      code: "CACHE_TO",
      cause,
      exitCode: 1,
    });
  }
}
