import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { type ContainerRecord, RESTART_POLICY } from "../container/record.ts";
import { tell } from "./container-state.ts";
import type { Engine } from "./engine.ts";

/** Changes what can be changed while a container is there: its restart policy, which the monitor reads at the end. */
export function update(engine: Engine, word: string, changes: { restart?: string }): ContainerRecord {
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
  tell(engine, record, "update");
  return record;
}
