import type { CgroupSetting } from "./types.ts";

/** What a container may use of the machine, in docker's words and units. 0: no limit. Absent: nothing was said. */
export interface Limits {
  /** Bytes. */
  memory?: number;
  /** Bytes of memory and swap together; -1: all the swap there is. */
  memorySwap?: number;
  /** Bytes that are not taken away from it while others have more. */
  memoryReservation?: number;
  /** Processors, as 1.5. */
  cpus?: number;
  /** Against other containers: 2 to 262144, 1024 is the middle. */
  cpuShares?: number;
  /** Microseconds. */
  cpuPeriod?: number;
  cpuQuota?: number;
  /** Lists as the kernel takes them: `0-2,4`. */
  cpusetCpus?: string;
  cpusetMems?: string;
  /** 10 to 1000. */
  blkioWeight?: number;
}

/** Microseconds, where none is named. */
const PERIOD = 100_000;

/** Version 1's scale on that of version 2, as the OCI runtimes do: 2…262144 → 1…10000. */
function cpuWeight(shares: number): number {
  return 1 + Math.floor(((shares - 2) * 9999) / 262_142);
}

/** 10…1000 → 1…10000 */
function ioWeight(weight: number): number {
  return 1 + Math.floor(((weight - 10) * 9999) / 990);
}

function most(value: number): string {
  return value > 0 ? String(value) : "max";
}

/** Limits as files of a cgroup. What only says that there is none may be left out where there is no such file. */
export function limitSettings(limits: Limits): CgroupSetting[] {
  const { memory, memorySwap, memoryReservation, cpus, cpuShares, cpuPeriod, cpuQuota, cpusetCpus, cpusetMems } =
    limits;
  const settings: CgroupSetting[] = [];
  const put = (file: string, value: string, optional: boolean) => settings.push({ file, value, optional });
  if (memory !== undefined) {
    put("memory.max", most(memory), memory === 0);
    // as docker and podman: without a word as much swap as memory. A kernel that does not count swap has no such file.
    const swap = memorySwap === undefined || memorySwap === 0 ? memory : memorySwap - memory;
    put("memory.swap.max", memory === 0 || memorySwap === -1 ? "max" : String(swap), !((memorySwap ?? 0) > 0));
  }
  if (memoryReservation !== undefined) put("memory.low", String(memoryReservation), memoryReservation === 0);
  if (cpus !== undefined) put("cpu.max", `${cpus > 0 ? Math.round(cpus * PERIOD) : "max"} ${PERIOD}`, cpus === 0);
  else if (cpuPeriod !== undefined || cpuQuota !== undefined) {
    put("cpu.max", `${most(cpuQuota ?? 0)} ${cpuPeriod || PERIOD}`, !cpuPeriod && !cpuQuota);
  }
  if (cpuShares !== undefined) put("cpu.weight", String(cpuShares === 0 ? 100 : cpuWeight(cpuShares)), cpuShares === 0);
  if (cpusetCpus !== undefined) put("cpuset.cpus", cpusetCpus, cpusetCpus === "");
  if (cpusetMems !== undefined) put("cpuset.mems", cpusetMems, cpusetMems === "");
  if (limits.blkioWeight !== undefined) {
    put(
      "io.weight",
      `default ${limits.blkioWeight === 0 ? 100 : ioWeight(limits.blkioWeight)}`,
      limits.blkioWeight === 0,
    );
  }
  return settings;
}

/** Of processes; 0: none. */
export function processSetting(limit: number, optional: boolean): CgroupSetting {
  return { file: "pids.max", value: most(limit), optional };
}

/** What contradicts itself, said in words; undefined: nothing. */
export function limitConflict(limits: Limits): string | undefined {
  const { memory = 0, memorySwap = 0, memoryReservation = 0 } = limits;
  if (memorySwap !== 0 && memory === 0) return "--memory-swap needs --memory";
  if (memorySwap > 0 && memorySwap < memory)
    return "--memory-swap counts memory and swap together: it cannot be less than --memory";
  if (memory > 0 && memoryReservation > memory) return "--memory-reservation cannot be more than --memory";
  if (limits.cpus && (limits.cpuPeriod || limits.cpuQuota))
    return "--cpus says what --cpu-period and --cpu-quota say: use one";
  return undefined;
}
