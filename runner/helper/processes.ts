import { spawnSync } from "node:child_process";
import { TsboxError } from "../base/error.ts";
import { helperPath } from "./locate.ts";

/** The processes of a container by its first one: their pids, or all of them stopped or continued. */
export function containerProcesses(
  first: { pid: number; startTime: string },
  action: "list" | "stop" | "continue" | "limit" = "list",
  ...more: string[]
): number[] {
  const result = spawnSync(helperPath(), ["processes", String(first.pid), first.startTime, action, ...more], {
    encoding: "utf8",
    maxBuffer: 64 << 20,
  });
  if (result.status !== 0) {
    throw new TsboxError(result.stderr.trim().replace(/^tsbox: /, "") || "Cannot look at the container's processes", {
      code: "NO_PROCESSES",
      exitCode: 1,
    });
  }
  return result.stdout.split("\n").filter(Boolean).map(Number);
}
