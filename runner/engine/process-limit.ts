import { TsboxError } from "../base/error.ts";
import { kernelAtLeast } from "../base/kernel.ts";
import { isInitialMap } from "../plan/idmap.ts";
import { type Limits, limitSettings, processSetting } from "../plan/limits.ts";
import type { CgroupSetting, Plan } from "../plan/types.ts";
import type { HostFacts } from "../sys/host-facts.ts";

/** Podman's. */
export const DEFAULT_PROCESS_LIMIT = 2048;

type Facts = Pick<HostFacts, "kernel" | "uid" | "ownMaps">;

/** What bounds the number of a container's processes where it has no cgroup: `process_limit.c` tells how a user namespace can. */
export type ProcessLimiter = { by: "user namespace" } | { by: "none"; why: string };

export function processLimiter(host: Facts): ProcessLimiter {
  if (!kernelAtLeast(host.kernel, "5.14")) return { by: "none", why: `needs Linux 5.14, this is ${host.kernel}` };
  // kernel/fork.c lets the real root pass, also inside
  if (host.uid === 0 && isInitialMap(host.ownMaps?.uid ?? ""))
    return { by: "none", why: "the kernel does not count the processes of root: run tsbox as an ordinary user" };
  return { by: "user namespace" };
}

/**
 * The limit that a user namespace holds, for a container that may have to do without a cgroup: what was asked for (0: none), else the default. What was
 * asked for and cannot be had is an error, never left out.
 */
export function processLimit(
  host: Facts,
  { pidsLimit: asked, cgroupsDisabled }: { pidsLimit?: number; cgroupsDisabled?: boolean },
): number | undefined {
  if (asked === 0) return undefined;
  const limiter = processLimiter(host);
  if (limiter.by !== "none") return asked ?? DEFAULT_PROCESS_LIMIT;
  if (asked === undefined || !cgroupsDisabled) return undefined;
  throw new TsboxError(`Cannot limit the container to ${asked} processes: ${limiter.why}`, {
    code: "NO_PROCESS_LIMIT",
    hint: "--pids-limit 0 runs it without a limit",
  });
}

/** What was asked of a container's cgroup, and what it has anyway. */
export function cgroupSettings(
  host: Facts,
  { limits = {}, pidsLimit }: { limits?: Limits; pidsLimit?: number },
): { required: boolean; settings: CgroupSetting[] } {
  // where a user namespace can hold it as well, a cgroup need not
  const needed = pidsLimit !== undefined && pidsLimit > 0 && processLimiter(host).by === "none";
  const settings = [processSetting(pidsLimit ?? DEFAULT_PROCESS_LIMIT, !needed), ...limitSettings(limits)];
  return { required: settings.some(({ optional }) => !optional), settings };
}

/** The cgroup of a new container. */
export function cgroupPlan(
  host: Facts,
  id: string,
  options: { limits?: Limits; pidsLimit?: number },
): NonNullable<Plan["cgroup"]> {
  const { required, settings } = cgroupSettings(host, options);
  return { name: `tsbox-${id.slice(0, 12)}`, optional: !required, settings };
}
