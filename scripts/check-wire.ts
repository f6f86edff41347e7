/** Checks that both sides of the contracts in ARCHITECTURE.md say the same. */
import { readFileSync } from "node:fs";
import { readSources, report } from "./checks/sources.ts";
import { wireProblems } from "./checks/wire.ts";

const read = (path: string) => readFileSync(path, "utf8");
const all = (folder: string, ...endings: string[]) =>
  endings.flatMap((ending) => [...readSources([folder], ending).values()]).join("\n");

report(
  wireProblems({
    architecture: read("ARCHITECTURE.md"),
    types: read("runner/plan/types.ts"),
    encoder: read("runner/helper/wire.ts"),
    table: read("helper-c/plan.c"),
    helper: all("helper-c", ".c", ".h"),
    headers: all("wasm", ".h"),
    mirror: read("runner/layers/abi.ts"),
    keeper: read("runner/engine/keep-start.ts") + read("runner/store/kept-starts.ts"),
    launcher: all("helper-c/launcher", ".c", ".h"),
  }),
);
