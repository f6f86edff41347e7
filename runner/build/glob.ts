import { patternRegex } from "./ignore.ts";

export function hasWildcards(text: string): boolean {
  return /[*?[\\]/.test(text);
}

/** Go's filepath.Match of one component. */
export function matchesName(pattern: string, name: string): boolean {
  return patternRegex(pattern).test(name);
}

/** The path without `.` and doubled slashes; undefined when it climbs above its start. */
export function cleanPath(path: string): string | undefined {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "" || part === ".") continue;
    if (part !== "..") parts.push(part);
    else if (parts.pop() === undefined) return undefined;
  }
  return parts.join("/");
}
