import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { ContainerRecord } from "../container/record.ts";
import { EVENTS_FD } from "../helper/client.ts";
import { type Root, storePlan, viewOps } from "../plan/build.ts";
import type { Op, Plan } from "../plan/types.ts";
import { initLayerPath } from "../store/layer-store.ts";
import { containerIdentity } from "./container-identity.ts";
import { containerState } from "./container-state.ts";
import type { Engine } from "./engine.ts";

/** File of a container's folder: the root of one whose image is `host`, which is another one tomorrow. */
export const ROOT_FILE = "root.json";

/**
 * A plan whose last op works on the files that a container has at "/": in its own namespaces while it runs, so that volumes and what is in
 * memory are seen as it sees them; otherwise in fresh ones, where its root and its volumes are mounted again. The container's lock is
 * held meanwhile: it cannot start on a root that is mounted here.
 */
export function viewPlan(engine: Engine, record: ContainerRecord, last: Op): Plan {
  const state = containerState(engine, record);
  const identity = containerIdentity(engine, record);
  if (state.pid !== 0) {
    const plan = storePlan(identity, [last], EVENTS_FD);
    const { mapTools: _, ...rest } = plan;
    return { ...rest, namespaces: [], uidMap: [], gidMap: [], join: { pid: state.pid, startTime: state.startTime } };
  }
  const dir = engine.containers.dir(record.id);
  const ops = [...viewOps(dir, rootOf(dir, record), identity, record), last];
  return { ...storePlan(identity, ops, EVENTS_FD), lock: join(dir, "lock") };
}

function rootOf(dir: string, record: ContainerRecord): Root {
  if (record.image === "host") return JSON.parse(readFileSync(join(dir, ROOT_FILE), "utf8")) as Root;
  const [top = "/", ...lowers] = record.lowers;
  const driver = record.storage ?? "overlay";
  if (record.image === "") return { kind: "directory", path: top, mounts: driver };
  return { kind: "image", lowers: [initLayerPath(lowers), ...lowers], volatile: false, driver };
}
