import { startTimeOf } from "./native.ts";

/**
 * Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), or undefined when there is none. With the pid it names a process
 * for good: pids are used again, the pair is not.
 */
export function processStartTime(pid: number): string | undefined {
  const ticks = startTimeOf(pid);
  return ticks === 0 ? undefined : String(ticks);
}

export function isAlive(pid: number, startTime: string): boolean {
  return processStartTime(pid) === startTime;
}
