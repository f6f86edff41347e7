import { existsSync } from "node:fs";
import { join } from "node:path";
import { type ContainerRecord, RESTART_POLICY, STOP_MARK } from "../container/record.ts";
import { type ContainerState, isUp } from "../container/state.ts";
import { readText } from "../sys/host-facts.ts";
import { containerState } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { healthStatus } from "./health.ts";

export interface ListedContainer {
  record: ContainerRecord;
  state: ContainerState;
  /** `starting`, `healthy`, `unhealthy`; empty: nothing is checked. */
  health: string;
  /** As --restart has it: `no`, `always`… */
  restartPolicy: string;
  /** Somebody has stopped it on purpose, so that unless-stopped does not start it. */
  stopped: boolean;
}

function describe(engine: Engine, record: ContainerRecord): ListedContainer {
  const state = containerState(engine, record);
  // the file is looked for only where there can be one: ps of many is to be quick
  const health = record.healthcheck && isUp(state) ? healthStatus(engine, record) : "";
  const dir = engine.containers.dir(record.id);
  return {
    record,
    state,
    health,
    // files that few ask for
    get restartPolicy() {
      return readText(join(dir, RESTART_POLICY)).trim().split(" ")[0] || "no";
    },
    get stopped() {
      return existsSync(join(dir, STOP_MARK));
    },
  };
}

/** What `ps` shows without --all: what runs, stands still or is about to run again. */
export function isShown(state: Pick<ContainerState, "status">): boolean {
  return isUp(state) || state.status === "restarting";
}

/** Every container, newest first; those that do not run only with `all`. */
export function list(engine: Engine, options: { all: boolean }): ListedContainer[] {
  return engine.containers
    .all()
    .map((record) => describe(engine, record))
    .filter(({ state }) => options.all || isShown(state))
    .sort((a, b) => (a.record.created < b.record.created ? 1 : -1));
}

export function find(engine: Engine, word: string): ListedContainer {
  return describe(engine, engine.containers.find(word));
}
