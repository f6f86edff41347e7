import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { actorFields, containerActor, journalPath } from "../container/journal.ts";
import { checkName } from "../container/name.ts";
import type { ContainerRecord } from "../container/record.ts";
import { replaceActor } from "../helper/wire.ts";
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
  const { id, image, labels } = record;
  // the monitor of the next start tells the journal by this name
  const plan = join(engine.containers.dir(id), "plan");
  const actor = actorFields(containerActor(id, name, image, labels));
  writeFileSync(`${plan}.new`, replaceActor(readFileSync(plan), journalPath(engine.root), actor), { mode: 0o600 });
  renameSync(`${plan}.new`, plan);
  tell(engine, renamed, "rename", { oldName: record.name });
  return renamed;
}
