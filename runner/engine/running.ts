import { TsboxError } from "../base/error.ts";
import type { ContainerRecord } from "../container/record.ts";
import { type ContainerState, isUp } from "../container/state.ts";
import { containerState } from "./container-state.ts";
import type { Engine } from "./engine.ts";

/** A container whose processes are there; otherwise the error says what `action` found instead. */
export function findRunning(
  engine: Engine,
  word: string,
  action: string,
): { record: ContainerRecord; state: ContainerState } {
  const record = engine.containers.find(word);
  const state = containerState(engine, record);
  if (!isUp(state)) {
    throw new TsboxError(
      `Cannot ${action} container "${record.name}": state is "${state.status}", expected "running"`,
      {
        code: "NOT_RUNNING",
        hint: `"tsbox start ${record.name}" starts it`,
        exitCode: 1,
      },
    );
  }
  return { record, state };
}
