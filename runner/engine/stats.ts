import { Cgroup } from "../cgroup/group.ts";
import { groupUsage } from "../cgroup/usage.ts";
import type { ContainerRecord } from "../container/record.ts";
import { type ContainerState, isUp } from "../container/state.ts";
import { containerProcesses } from "../helper/processes.ts";
import { diskTraffic, machine, networkTraffic, proportionalMemory, readProcess, TICKS } from "../sys/process-table.ts";
import { containerState } from "./container-state.ts";
import type { Engine } from "./engine.ts";

/** What a container uses now. */
export interface Usage {
  record: ContainerRecord;
  running: boolean;
  /** 100 is one processor in full use since the last sample. */
  cpuPercent: number;
  /** Bytes: what its cgroup counts, else the proportional set sizes of its processes; the limit, else the machine's memory. */
  memory: number;
  memoryLimit: number;
  pids: number;
  network: { received: number; sent: number };
  disk: { read: number; written: number };
}

interface Sample {
  /** Milliseconds. */
  at: number;
  /** CPU ticks by process: what has ended meanwhile no longer counts. */
  ticks: Map<string, number>;
  /** Microseconds, of a cgroup. */
  cpu?: number;
}

/** Keeps the last sample of each container, since CPU use is a difference. */
export class UsageMeter {
  readonly #engine: Engine;
  readonly #last = new Map<string, Sample>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** From the container's cgroup. Where it has none, or a controller is not delegated, summed over its processes, from /proc. */
  sample(record: ContainerRecord): Usage {
    const state = containerState(this.#engine, record);
    const { memory: memoryLimit } = machine();
    const usage: Usage = {
      record,
      running: isUp(state),
      cpuPercent: 0,
      memory: 0,
      memoryLimit,
      pids: 0,
      network: { received: 0, sent: 0 },
      disk: { read: 0, written: 0 },
    };
    if (!usage.running) return usage;
    const now: Sample = { at: performance.now(), ticks: new Map() };
    const counted = state.cgroup === "" ? {} : groupUsage(new Cgroup(state.cgroup));
    const { cpu, memory, pids, disk } = counted;
    if (cpu === undefined || memory === undefined || pids === undefined || disk === undefined)
      sumProcesses(state, usage, now);
    if (cpu !== undefined) now.cpu = cpu;
    if (memory !== undefined) usage.memory = memory;
    if (counted.memoryLimit !== undefined) usage.memoryLimit = Math.min(memoryLimit, counted.memoryLimit);
    if (pids !== undefined) usage.pids = pids;
    if (disk !== undefined) usage.disk = disk;
    usage.network = networkTraffic(state.pid);
    const before = this.#last.get(record.id);
    if (before)
      usage.cpuPercent = Math.max(0, (processorTime(before, now) * 100_000) / Math.max(1, now.at - before.at));
    this.#last.set(record.id, now);
    return usage;
  }
}

function sumProcesses(state: ContainerState, usage: Usage, now: Sample): void {
  for (const pid of listProcesses(state)) {
    const entry = readProcess(pid);
    if (entry === undefined) continue;
    now.ticks.set(`${pid} ${entry.started}`, entry.cpu + entry.childrenCpu);
    usage.memory += proportionalMemory(entry);
    usage.pids += entry.threads;
    const disk = diskTraffic(pid);
    usage.disk.read += disk.read;
    usage.disk.written += disk.written;
  }
}

/** Seconds of a processor between two samples. */
function processorTime(before: Sample, now: Sample): number {
  if (before.cpu !== undefined && now.cpu !== undefined) return (now.cpu - before.cpu) / 1_000_000;
  let ticks = 0;
  for (const [process, count] of now.ticks) ticks += count - (before.ticks.get(process) ?? 0);
  return ticks / TICKS;
}

/** It may end while we look. */
function listProcesses(state: ContainerState): number[] {
  try {
    return containerProcesses(state);
  } catch {
    return [];
  }
}
