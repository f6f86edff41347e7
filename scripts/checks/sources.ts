import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Path, as it is written in messages, to text. */
export type Sources = Map<string, string>;

/** All files below the folders whose names end so. A missing folder has none. */
export function readSources(folders: string[], ending: string): Sources {
  const found: Sources = new Map();
  for (const folder of folders) {
    for (const name of list(folder)) {
      const path = join(folder, name);
      if (name.endsWith(ending)) found.set(path, readFileSync(path, "utf8"));
    }
  }
  return found;
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}

/** Prints what a check found and sets the exit status. */
export function report(problems: string[]): void {
  for (const problem of problems) console.error(problem);
  if (problems.length > 0) process.exitCode = 1;
}
