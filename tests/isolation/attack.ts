import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { type Result, ROOT, type Workspace } from "../support/tsbox.ts";

/** Compiles the hostile program into the workspace; the path of its folder, to be mounted at /h. */
export function hostileFolder(box: Workspace): string {
  const folder = join(box.dir, "hostile");
  mkdirSync(folder, { mode: 0o755 });
  const source = join(ROOT, "tests/isolation/attack.c");
  execFileSync("gcc", ["-static", "-O1", "-w", "-o", join(folder, "attack"), source]);
  chmodSync(join(folder, "attack"), 0o755);
  return folder;
}

/** Runs one attack in a container of the base image. */
export function attack(box: Workspace, folder: string, flags: string[], ...words: string[]): Promise<Result> {
  return box.tsbox("run", "--rm", "-v", `${folder}:/h:ro`, ...flags, "base", "/h/attack", ...words);
}

/** "name outcome" lines as a table. */
export function outcomes(output: string): Record<string, string> {
  return Object.fromEntries(
    output
      .trim()
      .split("\n")
      .map((line) => [line.slice(0, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" ") + 1)]),
  );
}
