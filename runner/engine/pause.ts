import { setTimeout as sleep } from "node:timers/promises";
import { TsboxError } from "../base/error.ts";
import { Cgroup } from "../cgroup/group.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { ContainerState } from "../container/state.ts";
import { containerProcesses } from "../helper/processes.ts";
import { containerState, noteEvent, tell } from "./container-state.ts";
import type { Engine } from "./engine.ts";

/** What makes the processes of a container stand still: its cgroup's freezer, or signals, which they can notice. */
export function pausedBy(state: Pick<ContainerState, "cgroup">): "cgroup" | "signals" {
  return state.cgroup !== "" && new Cgroup(state.cgroup).frozen ? "cgroup" : "signals";
}

/** Lets every process of a container stand still: by its cgroup, where it has one, else by SIGSTOP. */
export async function pause(engine: Engine, word: string): Promise<ContainerRecord> {
  const { record, state } = expect(engine, word, "pause", "running");
  const group = state.cgroup === "" ? undefined : new Cgroup(state.cgroup);
  if (group?.tryWrite("cgroup.freeze", "1")) await untilSettled(group);
  else containerProcesses(state, "stop");
  noteEvent(engine, record, "paused");
  tell(engine, record, "pause");
  return record;
}

export async function unpause(engine: Engine, word: string): Promise<ContainerRecord> {
  const { record, state } = expect(engine, word, "unpause", "paused");
  if (pausedBy(state) === "cgroup") new Cgroup(state.cgroup).write("cgroup.freeze", "0");
  else containerProcesses(state, "continue");
  noteEvent(engine, record, "unpaused");
  tell(engine, record, "unpause");
  return record;
}

/** Milliseconds. A process in an uninterruptible call stands still only when that is over: it is not waited for longer. */
const PATIENCE = 2000;

async function untilSettled(group: Cgroup): Promise<void> {
  const end = performance.now() + PATIENCE;
  while (!group.settled && performance.now() < end) await sleep(1);
}

function expect(
  engine: Engine,
  word: string,
  verb: string,
  status: "running" | "paused",
): { record: ContainerRecord; state: ContainerState } {
  const record = engine.containers.find(word);
  const state = containerState(engine, record);
  if (state.status === status) return { record, state };
  throw new TsboxError(`Cannot ${verb} container "${record.name}": state is "${state.status}", expected "${status}"`, {
    code: "WRONG_STATE",
    exitCode: 1,
  });
}
