/** Checks the import order of runner/; prints each offending chain. */
import { importProblems } from "./checks/imports.ts";
import { readSources, report } from "./checks/sources.ts";

report(importProblems(readSources(["runner"], ".ts")));
