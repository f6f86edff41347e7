import { readText } from "./host-facts.ts";

/** Every mount point of this process, as /proc/self/mountinfo lists them (octal escapes undone). */
export function mountPoints(text: string = readText("/proc/self/mountinfo")): string[] {
  return text
    .split("\n")
    .map((line) => line.split(" ")[4])
    .filter((path): path is string => path !== undefined)
    .map((path) =>
      path.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8))),
    );
}
