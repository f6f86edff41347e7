import type { ContainerRecord } from "../container/record.ts";
import { containerProcesses } from "../helper/processes.ts";
import { machine, type ProcessEntry, readProcess } from "../sys/process-table.ts";
import { userNames } from "./container-user.ts";
import type { Engine } from "./engine.ts";
import { findRunning } from "./running.ts";

/** A process of a container, with its user by the container's own names. */
export interface ContainerProcess extends ProcessEntry {
  user: string;
  hostUid: number;
  /** Seconds since it was started. */
  age: number;
}

/** The processes of a running container, oldest first. */
export function top(engine: Engine, word: string): ContainerProcess[] {
  const { record, state } = findRunning(engine, word, "list the processes of");
  const { uptime } = machine();
  const names = userNames(record.lowers);
  return containerProcesses(state)
    .flatMap((pid) => readProcess(pid) ?? [])
    .map((entry) => {
      const uid = innerId(record, entry.uid);
      return {
        ...entry,
        uid,
        hostUid: entry.uid,
        user: names.get(uid) ?? String(uid),
        age: Math.max(0, uptime - entry.started / 100),
      };
    })
    .sort((a, b) => a.started - b.started || a.pid - b.pid);
}

function innerId(record: ContainerRecord, outside: number): number {
  const range = record.uidMap.find((one) => outside >= one.outside && outside < one.outside + one.count);
  return range === undefined ? 65534 : outside - range.outside + range.inside;
}
