import { execFileSync } from "node:child_process";
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

/**
 * What the commands that warm V8's cache find: the base image, unpacked, and a container "warm" that is said to run. Where the machine that builds
 * has no user namespaces there is less, and the first `run` of an installed tsbox compiles what is missing.
 */
export function fillStore(store: string, env: NodeJS.ProcessEnv): void {
  const tsbox = (...words: string[]) => execFileSync("dist/tsbox", words, { env, stdio: ["ignore", "pipe", "ignore"] });
  try {
    if (existsSync("dist/base.tar")) tsbox("run", "--rm", "base", "true");
    const id = tsbox("create", "--name", "warm", existsSync("dist/base.tar") ? "base" : "host", "true")
      .toString()
      .trim();
    appendFileSync(join(store, "containers", id, "events"), runningEvents());
  } catch {
    // less is warmed
  }
}

/** Of this process, which lives as long as the cache is made. */
function runningEvents(): string {
  const time = String(BigInt(Date.now()) * 1_000_000n);
  const startTime = readFileSync("/proc/self/stat", "utf8").split(") ")[1]?.split(" ")[19];
  const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  const { pid } = process;
  return [
    { event: "hello", time, version: 1, boot },
    { event: "created", time, pid, startTime, monitor: pid, monitorStartTime: startTime },
    { event: "exec", time, pid, startTime },
  ]
    .map((event) => `${JSON.stringify(event)}\n`)
    .join("");
}
