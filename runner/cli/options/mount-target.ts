import { posix } from "node:path";
import type { MountFlag } from "../../engine/run-options.ts";
import { UsageError } from "../usage-error.ts";

/** The place in the container: absolute, tidy, and not the root itself. */
export function mountTarget(text: string): string {
  if (!text.startsWith("/")) throw new UsageError(`the path in the container must be absolute, got "${text}"`);
  const target = posix.normalize(text).replace(/\/+$/, "") || "/";
  if (target === "/") throw new UsageError("the container's root cannot be a mount point");
  return target;
}

const FLAGS: ReadonlySet<string> = new Set<MountFlag>(["nosuid", "nodev", "noexec", "suid", "dev", "exec"]);

export function isMountFlag(option: string): option is MountFlag {
  return FLAGS.has(option);
}
