import { chmodSync, existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { EVENTS_FD, failure, startHelper } from "../helper/client.ts";
import { initLayerOps, storePlan } from "../plan/build.ts";
import type { Identity } from "../plan/idmap.ts";
import type { Engine } from "./engine.ts";

/**
 * The read-only layer between an image and a container's upper: mount points that the image lacks (/proc, /etc/hosts, …). Made once an
 * image, by an overlay whose upper it is, so that folders keep the attributes they have in the image; never committed.
 */
export async function initLayer(engine: Engine, lowers: string[], identity: Identity): Promise<string> {
  const top = lowers[0];
  if (top === undefined) throw new RangeError("Cannot make init layer: the image has no layers");
  const layer = join(dirname(top), "init");
  if (existsSync(layer)) return layer;
  const staging = `${layer}.${process.pid}`;
  const part = (name: string) => join(staging, name);
  for (const name of ["upper", "work", "merged"]) mkdirSync(part(name), { recursive: true });
  // it becomes "/" of the layer, whatever the caller's umask
  chmodSync(part("upper"), statSync(top).mode & 0o7777);
  const plan = storePlan(identity, initLayerOps(lowers, part("upper"), part("work"), part("merged")), EVENTS_FD);
  const result = await startHelper(plan, ["ignore", "ignore", "pipe"]).done;
  if (result.code !== 0) throw failure("make the init layer", result);
  try {
    renameSync(part("upper"), layer);
  } catch (error) {
    if (!existsSync(layer)) throw error; // another process was first: its layer is as good
  }
  const { removeTrees } = await import("./remove-trees.ts");
  await removeTrees(engine, [staging], identity);
  return layer;
}
