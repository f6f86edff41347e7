import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { containerActor, journal } from "../container/journal.ts";
import type { ContainerRecord } from "../container/record.ts";
import {
  type ContainerEvent,
  type ContainerState,
  foldState,
  type Remover,
  type RunnerEvent,
} from "../container/state.ts";
import { readEvents } from "../helper/events.ts";
import { isAlive } from "../sys/process.ts";
import type { Engine } from "./engine.ts";

/** The state of a container now: its events, checked against the processes that exist in this boot. */
export function containerState(engine: Engine, record: ContainerRecord): ContainerState {
  const read = () => readEvents(`${engine.containers.dir(record.id)}/events`) as ContainerEvent[];
  const fold = (events: ContainerEvent[]) =>
    foldState(
      events,
      (pid, startTime, boot) => (boot || record.bootID) === engine.host.bootID && isAlive(pid, startTime),
    );
  const events = read();
  const state = fold(events);
  if (state.reason !== "lost") return state;
  // its last word may have come between the reading and the look at its processes
  const later = read();
  return later.length > events.length ? fold(later) : state;
}

/** Adds what the runner itself has done to the container's events. */
export function noteEvent(
  engine: Engine,
  record: ContainerRecord,
  event: Exclude<RunnerEvent["event"], "removing"> | Remover,
): void {
  const fields = typeof event === "string" ? { event } : event;
  const line = JSON.stringify({ ...fields, time: String(BigInt(Date.now()) * 1_000_000n) });
  appendFileSync(join(engine.containers.dir(record.id), "events"), `${line}\n`, { mode: 0o600 });
}

/** One more line of the journal, which `tsbox events` shows. */
export function tell(engine: Engine, record: ContainerRecord, action: string, more: Record<string, string> = {}): void {
  const { id, name, image, labels } = record;
  journal(engine.root, { type: "container", action, ...containerActor(id, name, image, labels), ...more });
}
