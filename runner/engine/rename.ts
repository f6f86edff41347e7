import { TsboxError } from "../base/error.ts";
import { checkName } from "../container/name.ts";
import type { ContainerRecord } from "../container/record.ts";
import { tell } from "./container-state.ts";
import type { Engine } from "./engine.ts";

/** Gives a container another name; what runs in it goes on, and keeps its hostname. */
export function rename(engine: Engine, word: string, name: string): ContainerRecord {
  const record = engine.containers.find(word);
  checkName(name);
  if (name === record.name) {
    throw new TsboxError(`Cannot rename container "${name}": that is its name already`, {
      code: "NAME_TAKEN",
      exitCode: 1,
    });
  }
  const renamed = engine.containers.rename(record, name);
  tell(engine, renamed, "rename", { oldName: record.name });
  return renamed;
}
