/**
 * Everything that is checked, in one run: the rules of the sources, the unit tests in C, a short fuzzing, then
 * each test file in a process of its own. A line for each, the output of what failed, and as the last line
 * "N passed, N failed, N skipped".
 *
 * usage: run-tests [PART…]: only the test files whose path contains one of the parts.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type Counts, countC, countLint, countUvu } from "./testing/count.ts";
import { runStep } from "./testing/step.ts";

/** Two cores are what the tests are written for; more at once and the kernel's locks are what is tested. */
const AT_ONCE = 2;
const FILE_SECONDS = 300;
const STAGE_SECONDS = 600;

interface Step {
  name: string;
  command: string[];
  seconds: number;
  count: (output: string, status: number) => Counts;
}

const STAGES: Step[] = [
  { name: "rules of the sources", command: ["scripts/lint"], seconds: STAGE_SECONDS, count: countLint },
  { name: "helper-c", command: ["make", "-C", "helper-c", "check"], seconds: STAGE_SECONDS, count: countC },
  { name: "wasm", command: ["make", "-C", "wasm", "test"], seconds: STAGE_SECONDS, count: countC },
  { name: "wasm, fuzzed", command: ["make", "-C", "wasm", "fuzz-short"], seconds: STAGE_SECONDS, count: countC },
];

function testFiles(parts: string[]): Step[] {
  return readdirSync("tests", { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".test.ts"))
    .map((name) => join("tests", name))
    .filter((path) => parts.length === 0 || parts.some((part) => path.includes(part)))
    .sort()
    .map((path) => ({
      name: path,
      command: [process.execPath, "--import", "tsx", path],
      seconds: FILE_SECONDS,
      count: countUvu,
    }));
}

const total: Counts = { passed: 0, failed: 0, skipped: 0 };

async function perform(step: Step): Promise<void> {
  const start = process.hrtime.bigint();
  const { output, status, timedOut } = await runStep(step.command, step.seconds);
  const counts = step.count(output, status);
  const seconds = (Number(process.hrtime.bigint() - start) / 1e9).toFixed(1);
  for (const key of ["passed", "failed", "skipped"] as const) total[key] += counts[key];
  if (counts.failed > 0) console.log(`\n${output.trimEnd()}`);
  for (const line of output.match(/^skip: .*$/gm) ?? []) console.log(`  ${line}`);
  const verdict = counts.failed > 0 ? "FAILED" : "ok    ";
  console.log(`${verdict} ${step.name}: ${words(counts)} (${seconds} s${timedOut ? ", stopped: too slow" : ""})`);
}

function words({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

const parts = process.argv.slice(2);
if (parts.length === 0) for (const stage of STAGES) await perform(stage);
const queue = testFiles(parts);
await Promise.all(
  Array.from({ length: AT_ONCE }, async () => {
    for (let step = queue.shift(); step; step = queue.shift()) await perform(step);
  }),
);
console.log(`\n${words(total)}`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;
