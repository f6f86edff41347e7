import type { ContainerRecord } from "../container/record.ts";
import type { Identity } from "../plan/idmap.ts";
import type { Engine } from "./engine.ts";

/** The id map that a container was made with. Its `key` is not known any more: for work on the container's own files. */
export function containerIdentity(engine: Engine, { uidMap, gidMap }: ContainerRecord): Identity {
  // root of a namespace needs no tools to map what it has
  const { mapTools } = engine.identity();
  return {
    kind: uidMap.length > 1 ? "range" : "single",
    key: "",
    uidMap,
    gidMap,
    ...(uidMap.length > 1 && mapTools && { mapTools }),
  };
}
