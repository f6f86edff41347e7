import { type Limits, limitConflict } from "../../plan/limits.ts";
import { type Flags, type FlagValues, value } from "../flags.ts";
import { parseBytes } from "../units.ts";
import { UsageError } from "../usage-error.ts";

const LIMITS = "Limits";

/** As docker and podman: a list of numbers and ranges. */
function parseSet(text: string): string {
  if (!/^\d+(-\d+)?(,\d+(-\d+)?)*$/.test(text)) throw new UsageError("expected numbers and ranges, as 0-2,4");
  return text;
}

function parseCpus(text: string): number {
  const cpus = /^(\d+(\.\d*)?|\.\d+)$/.test(text) ? Number(text) : Number.NaN;
  // the kernel's least is a millisecond in a period
  if (!(cpus === 0 || cpus >= 0.01)) throw new UsageError("expected a number of processors, as 1.5, at least 0.01");
  return cpus;
}

function parseWhole(min: number, max: number) {
  return (text: string): number => {
    const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (number !== 0 && !(number >= min && number <= max)) {
      throw new UsageError(`expected a whole number from ${min} to ${max}, or 0 for no limit`);
    }
    return number;
  };
}

function parseSwap(text: string): number {
  return text === "-1" ? -1 : parseBytes(text);
}

/** -1 is no limit, too. */
function parseQuota(text: string): number {
  return text === "-1" ? 0 : parseWhole(1000, 1_000_000_000)(text);
}

/** Only cgroups of version 1 had it: a limit that is not held is refused, not left out. */
function parseSwappiness(): never {
  throw new UsageError("cgroups of version 2 have no such setting");
}

/** What only a cgroup can hold. */
export const CGROUP_FLAGS = {
  memory: value(parseBytes, {
    short: "m",
    placeholder: "SIZE",
    group: LIMITS,
    help: "at most so much memory, as 512m",
  }),
  memorySwap: value(parseSwap, {
    placeholder: "SIZE",
    group: LIMITS,
    help: "at most so much memory and swap together (default twice the memory; -1: any)",
  }),
  memoryReservation: value(parseBytes, {
    placeholder: "SIZE",
    group: LIMITS,
    help: "so much memory is left to it when it gets scarce",
  }),
  memorySwappiness: value(parseSwappiness, { group: LIMITS, hidden: true, help: "of cgroups of version 1" }),
  cpus: value(parseCpus, { placeholder: "N", group: LIMITS, help: "at most so many processors, as 1.5" }),
  cpuShares: value(parseWhole(2, 262_144), {
    short: "c",
    placeholder: "N",
    group: LIMITS,
    help: "its weight against others when the processors are busy (default 1024)",
  }),
  cpuPeriod: value(parseWhole(1000, 1_000_000), {
    placeholder: "MICROSECONDS",
    group: LIMITS,
    help: "the time that --cpu-quota is a part of (default 100000)",
  }),
  cpuQuota: value(parseQuota, {
    placeholder: "MICROSECONDS",
    group: LIMITS,
    help: "at most so much processor time in each --cpu-period",
  }),
  cpusetCpus: value(parseSet, { placeholder: "LIST", group: LIMITS, help: "only on these processors, as 0-2,4" }),
  cpusetMems: value(parseSet, { placeholder: "LIST", group: LIMITS, help: "only memory of these NUMA nodes" }),
  blkioWeight: value(parseWhole(10, 1000), {
    placeholder: "N",
    group: LIMITS,
    help: "its weight against others when a disk is busy, 10 to 1000",
  }),
} satisfies Flags;

/** What was named; undefined: nothing. */
export function readLimits(flags: FlagValues<typeof CGROUP_FLAGS>): Limits | undefined {
  const { memorySwappiness: _, ...named } = flags;
  const known = Object.keys(CGROUP_FLAGS) as (keyof typeof named)[];
  const limits: Limits = Object.fromEntries(
    known.flatMap((name) => (named[name] === undefined ? [] : [[name, named[name]]])),
  );
  return Object.keys(limits).length === 0 ? undefined : limits;
}

/** For `run`, where all that holds is named at once. */
export function checkLimits(limits: Limits): void {
  const conflict = limitConflict(limits);
  if (conflict !== undefined) throw new UsageError(`Cannot limit the container: ${conflict}`);
}
