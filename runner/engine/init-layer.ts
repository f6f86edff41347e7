import { chmodSync, existsSync, mkdirSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";
import { randomHex } from "../base/random.ts";
import { EVENTS_FD, failure, startHelper } from "../helper/client.ts";
import { initLayerOps, storePlan } from "../plan/build.ts";
import type { Identity } from "../plan/idmap.ts";
import { initLayerPath } from "../store/layer-store.ts";
import { callerAccounts } from "./caller-accounts.ts";
import type { Engine } from "./engine.ts";
import { explained } from "./explain.ts";

/**
 * The read-only layer between an image and a container's upper: mount points that the image lacks (/proc, /etc/hosts, …). Made once an
 * image, by an overlay whose upper it is, so that folders keep the attributes they have in the image; never committed.
 */
export async function makeInitLayer(engine: Engine, lowers: string[], identity: Identity): Promise<void> {
  const layer = initLayerPath(lowers);
  // stages of one build make it at the same time
  const staging = `${layer}.${process.pid}-${randomHex(4)}`;
  const part = (name: string) => join(staging, name);
  // of a folder and its parents at once Node does not tell why it cannot make them
  if (!existsSync(staging)) mkdirSync(staging);
  for (const name of ["upper", "work", "merged"]) mkdirSync(part(name), { recursive: true });
  // it becomes "/" of the layer, whatever the caller's umask
  chmodSync(part("upper"), statSync(lowers[0] as string).mode & 0o7777);
  const accounts = identity.kind === "single" ? { passwd: "", group: "" } : callerAccounts(engine, lowers, identity);
  const ops = initLayerOps(lowers, part("upper"), part("work"), part("merged"), accounts);
  const plan = storePlan(identity, ops, EVENTS_FD);
  const result = await startHelper(plan, ["ignore", "ignore", "pipe"]).done;
  if (result.code !== 0) throw explained(failure("make the init layer", result));
  try {
    renameSync(part("upper"), layer);
  } catch (error) {
    if (!existsSync(layer)) throw error; // another process was first: its layer is as good
  }
  const { removeTrees } = await import("./remove-trees.ts");
  await removeTrees(engine, [staging], identity);
}
