import { EVENTS_FD, failure, startHelper } from "../helper/client.ts";
import { storePlan } from "../plan/build.ts";
import type { Identity } from "../plan/idmap.ts";
import type { Engine } from "./engine.ts";
import { explained } from "./explain.ts";

/** Removes trees whose files may belong to subordinate ids: inside the user namespace, where they are ours. */
export async function removeTrees(_engine: Engine, paths: string[], identity: Identity): Promise<void> {
  if (paths.length === 0) return;
  const plan = storePlan(identity, [{ op: "remove", paths }], EVENTS_FD);
  const result = await startHelper(plan, ["ignore", "ignore", "pipe"]).done;
  if (result.code !== 0) throw explained(failure(`remove "${paths[0]}"`, result));
}
