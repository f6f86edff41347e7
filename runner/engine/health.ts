import { join } from "node:path";
import type { ContainerRecord } from "../container/record.ts";
import { readText } from "../sys/host-facts.ts";
import type { Engine } from "./engine.ts";

/** What the monitor writes after each check. */
export interface Health {
  status: "starting" | "healthy" | "unhealthy";
  failingStreak: number;
  log: { start: string; end: string; exitCode: number; output: string }[];
}

/** What the checks of a container's present life have found; undefined for one that has none. */
export function readHealth(engine: Engine, record: ContainerRecord): Health | undefined {
  const text = readText(join(engine.containers.dir(record.id), "health.json"));
  try {
    return text === "" ? undefined : (JSON.parse(text) as Health);
  } catch {
    return undefined;
  }
}

/** Docker's word; empty where nothing is checked. */
export function healthStatus(engine: Engine, record: ContainerRecord): string {
  return readHealth(engine, record)?.status ?? "";
}
