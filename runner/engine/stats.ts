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
  /** Bytes: proportional set sizes of its processes, and the machine's memory. */
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
}

/** Keeps the last sample of each container, since CPU use is a difference. */
export class UsageMeter {
  readonly #engine: Engine;
  readonly #last = new Map<string, Sample>();

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Everything is summed over the container's processes, from /proc: without a cgroup of its own nobody else counts. */
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
    return usage.running ? this.#measure(record, state, usage) : usage;
  }

  #measure(record: ContainerRecord, state: ContainerState, usage: Usage): Usage {
    const now: Sample = { at: performance.now(), ticks: new Map() };
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
    usage.network = networkTraffic(state.pid);
    const before = this.#last.get(record.id);
    if (before) {
      let ticks = 0;
      for (const [process, count] of now.ticks) ticks += count - (before.ticks.get(process) ?? 0);
      usage.cpuPercent = Math.max(0, ((ticks / TICKS) * 100_000) / Math.max(1, now.at - before.at));
    }
    this.#last.set(record.id, now);
    return usage;
  }
}

/** It may end while we look. */
function listProcesses(state: ContainerState): number[] {
  try {
    return containerProcesses(state);
  } catch {
    return [];
  }
}
