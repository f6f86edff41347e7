import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { type ContainerRecord, RESTART_POLICY } from "../container/record.ts";
import { isUp } from "../container/state.ts";
import { containerProcesses } from "../helper/processes.ts";
import { replaceLimits } from "../helper/wire.ts";
import { containerState, tell } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import type { Ulimit } from "./run-options.ts";

/** Changes what can be changed while a container is there: its restart policy, which the monitor reads at the end, and the limits of its processes. */
export function update(
  engine: Engine,
  word: string,
  changes: { restart?: string; ulimits?: Ulimit[] },
): ContainerRecord {
  const record = engine.containers.find(word);
  if (changes.restart !== undefined) {
    if (record.autoRemove && changes.restart !== "") {
      throw new TsboxError(`Cannot update container "${record.name}": it removes itself when it has ended (--rm)`, {
        code: "AUTO_REMOVE",
        exitCode: 1,
      });
    }
    writeFileSync(join(engine.containers.dir(record.id), RESTART_POLICY), changes.restart, { mode: 0o600 });
  }
  if (changes.ulimits && changes.ulimits.length > 0) updateLimits(engine, record, changes.ulimits);
  tell(engine, record, "update");
  return record;
}

/** For the processes that run now, for those that are executed into it later, and for its next start. */
function updateLimits(engine: Engine, record: ContainerRecord, wanted: Ulimit[]): void {
  const state = containerState(engine, record);
  if (isUp(state)) {
    for (const { name, soft, hard } of wanted) containerProcesses(state, "limit", name, String(soft), String(hard));
  }
  const kept = (record.ulimits ?? []).filter((limit) => !wanted.some(({ name }) => name === limit.name));
  const ulimits = [...kept, ...wanted];
  const plan = join(engine.containers.dir(record.id), "plan");
  writeFileSync(`${plan}.new`, replaceLimits(readFileSync(plan), ulimits), { mode: 0o600 });
  renameSync(`${plan}.new`, plan);
  engine.containers.write({ ...record, ulimits });
}
