import { TsboxError } from "../base/error.ts";
import type { ContainerRecord } from "../container/record.ts";
import { containerProcesses } from "../helper/processes.ts";
import { containerState, noteEvent, tell } from "./container-state.ts";
import type { Engine } from "./engine.ts";

/** What makes processes stand still, as `inspect` and `info` say: they can notice these, which a cgroup's freezer would hide from them. */
export const PAUSED_BY = "signals";

/** Stops every process of a container, by SIGSTOP. */
export async function pause(engine: Engine, word: string): Promise<ContainerRecord> {
  return move(engine, word, { action: "stop", from: "running", event: "paused", verb: "pause" });
}

export async function unpause(engine: Engine, word: string): Promise<ContainerRecord> {
  return move(engine, word, { action: "continue", from: "paused", event: "unpaused", verb: "unpause" });
}

function move(
  engine: Engine,
  word: string,
  to: { action: "stop" | "continue"; from: "running" | "paused"; event: "paused" | "unpaused"; verb: string },
): ContainerRecord {
  const record = engine.containers.find(word);
  const state = containerState(engine, record);
  if (state.status !== to.from) {
    throw new TsboxError(
      `Cannot ${to.verb} container "${record.name}": state is "${state.status}", expected "${to.from}"`,
      { code: "WRONG_STATE", exitCode: 1 },
    );
  }
  containerProcesses(state, to.action);
  noteEvent(engine, record, to.event);
  tell(engine, record, to.verb);
  return record;
}
