import { join } from "node:path";
import type { ContainerRecord } from "../container/record.ts";
import { type ContainerState, foldState } from "../container/state.ts";
import { readEvents } from "../helper/events.ts";
import { isAlive } from "../sys/process.ts";
import type { Engine } from "./engine.ts";

/** The state of a container now: its events, checked against the processes that exist in this boot. */
export function containerState(engine: Engine, record: ContainerRecord): ContainerState {
  const events = readEvents(join(engine.containers.dir(record.id), "events"));
  return foldState(events, (pid, startTime) => record.bootID === engine.host.bootID && isAlive(pid, startTime));
}
