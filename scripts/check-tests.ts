/** Checks that every test file really runs its tests. */
import { readSources, report } from "./checks/sources.ts";
import { testProblems } from "./checks/tests.ts";

report(testProblems(readSources(["tests"], ".test.ts")));
