import { journal } from "../container/journal.ts";
import type { VolumeMeta } from "../store/volumes.ts";
import type { Engine } from "./engine.ts";

/** A volume's id is its name, as in docker. */
export function tellVolume(
  engine: Engine,
  action: "create" | "destroy",
  { name, labels = {} }: Pick<VolumeMeta, "name"> & Partial<VolumeMeta>,
): void {
  journal(engine.root, { type: "volume", action, id: name, driver: "local", labels });
}
