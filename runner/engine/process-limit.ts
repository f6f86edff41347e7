import { TsboxError } from "../base/error.ts";
import { kernelAtLeast } from "../base/kernel.ts";
import { isInitialMap } from "../plan/idmap.ts";
import type { HostFacts } from "../sys/host-facts.ts";

/** Podman's. */
export const DEFAULT_PROCESS_LIMIT = 2048;

/** What bounds the number of a container's processes: `process_limit.c` tells how a user namespace can. */
export type ProcessLimiter = { by: "user namespace" } | { by: "none"; why: string };

export function processLimiter(host: Pick<HostFacts, "kernel" | "uid" | "ownMaps">): ProcessLimiter {
  if (!kernelAtLeast(host.kernel, "5.14")) return { by: "none", why: `needs Linux 5.14, this is ${host.kernel}` };
  // kernel/fork.c lets the real root pass, also inside
  if (host.uid === 0 && isInitialMap(host.ownMaps?.uid ?? ""))
    return { by: "none", why: "the kernel does not count the processes of root: run tsbox as an ordinary user" };
  return { by: "user namespace" };
}

/** The limit for a container: what was asked for (0: none), else the default. What was asked for and cannot be had is an error, never left out. */
export function processLimit(
  host: Pick<HostFacts, "kernel" | "uid" | "ownMaps">,
  asked: number | undefined,
): number | undefined {
  if (asked === 0) return undefined;
  const limiter = processLimiter(host);
  if (limiter.by !== "none") return asked ?? DEFAULT_PROCESS_LIMIT;
  if (asked === undefined) return undefined;
  throw new TsboxError(`Cannot limit the container to ${asked} processes: ${limiter.why}`, {
    code: "NO_PROCESS_LIMIT",
    hint: "--pids-limit 0 runs it without a limit",
  });
}
