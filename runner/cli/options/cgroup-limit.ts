import { type Flag, value } from "../flags.ts";
import { UsageError } from "../usage-error.ts";

/**
 * Limits that only a cgroup can hold, and tsbox makes none: they are refused, since a container that is taken to be bounded and is not is worse than
 * one that does not start. Whoever has systemd can put the whole of tsbox into a scope that has the limit.
 */
function refused(property: (given: string) => string | undefined, short?: string): Flag<never | undefined> {
  return value<never>(
    (given) => {
      const setting = property(given);
      throw new UsageError("only a cgroup can hold this limit, and tsbox makes none", {
        hint:
          setting === undefined
            ? "leave it out, or start tsbox in a cgroup that has the limit"
            : `start tsbox in a scope that has it: systemd-run --user --scope -p ${setting} tsbox run …`,
      });
    },
    { help: "", hidden: true, ...(short !== undefined && { short }) },
  );
}

const bytes = (name: string) => (given: string) => `${name}=${given.toUpperCase().replace(/B$/, "")}`;
const plain = (name: string) => (given: string) => `${name}=${given}`;
const nothing = () => undefined;

export const CGROUP_FLAGS = {
  memory: refused(bytes("MemoryMax"), "m"),
  memorySwap: refused(nothing),
  memorySwappiness: refused(nothing),
  memoryReservation: refused(bytes("MemoryLow")),
  cpus: refused((given) => (Number(given) > 0 ? `CPUQuota=${Math.round(Number(given) * 100)}%` : undefined)),
  cpuShares: refused(nothing),
  cpuPeriod: refused(nothing),
  cpuQuota: refused(nothing),
  cpusetCpus: refused(plain("AllowedCPUs")),
  cpusetMems: refused(plain("AllowedMemoryNodes")),
  blkioWeight: refused(nothing),
};
