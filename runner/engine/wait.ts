import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type ContainerRecord, STOP_MARK } from "../container/record.ts";
import { type ContainerEvent, type ContainerState, foldState, isUp } from "../container/state.ts";
import { readEvents } from "../helper/events.ts";
import { readText } from "../sys/host-facts.ts";
import { waitForExit } from "../sys/native.ts";
import { isAlive } from "../sys/process.ts";
import { containerState } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { healthStatus } from "./health.ts";

/** The container's exit status, once it has ended. */
export async function wait(engine: Engine, word: string): Promise<number> {
  const record = engine.containers.find(word);
  const state = containerState(engine, record);
  if (state.status === "restarting") return waitFor(engine, word, ["exited", "removed"]);
  if (!isUp(state)) return state.exitCode;
  const ended = await untilEnded(engine, record, state, Number.POSITIVE_INFINITY);
  return ended?.exitCode ?? 0;
}

/** Podman's words for what can be waited for, and the states that they mean. */
export const CONDITIONS: Readonly<Record<string, (state: ContainerState, health: string) => boolean>> = {
  configured: ({ status }) => status === "created",
  created: ({ status }) => status === "created",
  running: ({ status }) => status === "running",
  paused: ({ status }) => status === "paused",
  restarting: ({ status }) => status === "restarting",
  exited: ({ status }) => status === "exited",
  stopped: ({ status }) => status === "exited",
  healthy: (_, health) => health === "healthy",
  unhealthy: (_, health) => health === "unhealthy",
  removed: () => false,
};

/** Waits for any of the conditions: the exit status where the container has ended, otherwise -1. */
export async function waitFor(
  engine: Engine,
  word: string,
  conditions: readonly string[],
  interval = 50,
): Promise<number> {
  const record = engine.containers.find(word);
  // the folder may go between two looks: an open file still tells how it ended
  let events: number | undefined;
  try {
    for (;;) {
      events ??= openEvents(engine, record);
      if (!existsSync(engine.containers.dir(record.id))) {
        // it can never be anything else any more
        return ["removed", "exited", "stopped"].some((one) => conditions.includes(one))
          ? lastState(events).exitCode
          : -1;
      }
      const state = containerState(engine, record);
      if (conditions.some((one) => CONDITIONS[one]?.(state, healthStatus(engine, record)))) {
        return state.status === "exited" ? state.exitCode : -1;
      }
      await sleep(interval);
    }
  } finally {
    if (events !== undefined) closeSync(events);
  }
}

/**
 * Waits until the container's first process is gone and its monitor has written so; undefined after `timeout` milliseconds.
 * A container with `--rm` may vanish meanwhile: then its last known state is told.
 */
export async function untilEnded(
  engine: Engine,
  record: ContainerRecord,
  running: ContainerState,
  timeout: number,
): Promise<ContainerState | undefined> {
  // with --rm the folder may go before it is looked at again: an open file is still there
  const events = openEvents(engine, record);
  try {
    return await ended(engine, record, running, timeout, events);
  } finally {
    if (events !== undefined) closeSync(events);
  }
}

async function ended(
  engine: Engine,
  record: ContainerRecord,
  running: ContainerState,
  timeout: number,
  events: number | undefined,
): Promise<ContainerState | undefined> {
  const deadline = performance.now() + timeout;
  while (
    !(await waitForExit(running.pid, running.startTime, Math.min(1000, Math.max(0, deadline - performance.now()))))
  ) {
    if (performance.now() >= deadline) return undefined;
  }
  // the process is gone; its monitor writes the status a moment later, unless it was killed itself
  for (let round = 0; round < (isAlive(running.monitor, running.monitorStartTime) ? 2000 : 200); round++) {
    const state = containerState(engine, record);
    if (!isUp(state) && state.reason !== "lost") {
      // with --rm the monitor now removes the folder; the caller may want the name again
      if (!record.autoRemove || isKept(engine, record)) return state;
    }
    if (!existsSync(engine.containers.dir(record.id))) {
      return events === undefined ? { ...running, status: "exited", pid: 0 } : lastState(events);
    }
    await sleep(5);
  }
  return containerState(engine, record);
}

/** Whoever stops it will start it again. */
function isKept(engine: Engine, record: ContainerRecord): boolean {
  return readText(join(engine.containers.dir(record.id), STOP_MARK)) === "keep";
}

/** What the events of a container say that is not there any more. */
function lastState(events: number | undefined): ContainerState {
  return foldState(events === undefined ? [] : (readEvents(events) as ContainerEvent[]), () => false);
}

function openEvents(engine: Engine, record: ContainerRecord): number | undefined {
  try {
    return openSync(join(engine.containers.dir(record.id), "events"), "r");
  } catch {
    return undefined; // removed just now
  }
}
