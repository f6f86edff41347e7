import { readText } from "./host-facts.ts";

/**
 * Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat), or undefined when there is none. With the pid it names a process
 * for good: pids are used again, the pair is not.
 */
export function processStartTime(pid: number): string | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  // the second field, in parentheses, may hold blanks and parentheses
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (stat === "" || fields[0] === "Z" || fields[0] === "X") return undefined;
  return fields[19];
}

export function isAlive(pid: number, startTime: string): boolean {
  return processStartTime(pid) === startTime;
}
