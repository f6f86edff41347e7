import type { ContainerRecord } from "../container/record.ts";
import type { ContainerState } from "../container/state.ts";
import { containerState } from "./container-state.ts";
import type { Engine } from "./engine.ts";

export interface ListedContainer {
  record: ContainerRecord;
  state: ContainerState;
}

/** Every container, newest first; those that do not run only with `all`. */
export function list(engine: Engine, options: { all: boolean }): ListedContainer[] {
  return engine.containers
    .all()
    .map((record) => ({ record, state: containerState(engine, record) }))
    .filter(({ state }) => options.all || state.status === "running")
    .sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
}
