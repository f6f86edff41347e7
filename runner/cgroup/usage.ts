import type { Cgroup } from "./group.ts";

/** What a cgroup counts. A controller that is not delegated leaves its part out. */
export interface GroupUsage {
  /** Microseconds of processor time since the start. */
  cpu?: number;
  /** Bytes. */
  memory?: number;
  /** Bytes; absent: no limit. */
  memoryLimit?: number;
  pids?: number;
  disk?: { read: number; written: number };
}

export function groupUsage(group: Cgroup): GroupUsage {
  const cpu = field(group.read("cpu.stat"), "usage_usec");
  const current = number(group.read("memory.current"));
  const limit = number(group.read("memory.max"));
  const pids = number(group.read("pids.current"));
  const io = group.read("io.stat");
  return {
    ...(cpu !== undefined && { cpu }),
    // as docker: pages of files that nobody has used for a while are given back when they are wanted
    ...(current !== undefined && {
      memory: Math.max(0, current - (field(group.read("memory.stat"), "inactive_file") ?? 0)),
    }),
    ...(limit !== undefined && { memoryLimit: limit }),
    ...(pids !== undefined && { pids }),
    ...(io !== undefined && { disk: { read: sum(io, "rbytes"), written: sum(io, "wbytes") } }),
  };
}

/** `max` is no number. */
function number(text: string | undefined): number | undefined {
  return text !== undefined && /^\d+\s*$/.test(text) ? Number(text) : undefined;
}

function field(text: string | undefined, name: string): number | undefined {
  const found = new RegExp(`^${name} (\\d+)$`, "m").exec(text ?? "");
  return found ? Number(found[1]) : undefined;
}

/** Over all devices: `8:0 rbytes=1459200 wbytes=314773504 rios=192 …`. */
function sum(text: string, name: string): number {
  return [...text.matchAll(new RegExp(`\\b${name}=(\\d+)`, "g"))].reduce((all, [, count]) => all + Number(count), 0);
}
