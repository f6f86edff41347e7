/** How many tests a step ran, from what it printed. A step that failed always counts as one failure at least. */

export interface Counts {
  passed: number;
  failed: number;
  skipped: number;
}

/** uvu's summary of each suite, and the `skip:` lines of tests/support/need.ts. */
export function countUvu(output: string, status: number): Counts {
  const sum = (label: string) =>
    [...output.matchAll(new RegExp(`^ *${label}: +(\\d+)`, "gm"))].reduce((total, [, n]) => total + Number(n), 0);
  const passed = sum("Passed");
  const skipped = sum("Skipped") + lines(output, /^skip: /);
  const failed = sum("Total") - passed;
  // Neither a summary nor a skip: the file ended before its tests ran.
  const silent = !/^ *Total:/m.test(output) && skipped === 0;
  return settled({ passed, failed, skipped }, status, silent);
}

/** The lines of the test programs in C: `ok NAME`, `ok NAME # SKIP why`, `not ok NAME`. */
export function countC(output: string, status: number): Counts {
  const skipped = lines(output, /^ok .*# SKIP/);
  const passed = lines(output, /^ok /) - skipped;
  return settled({ passed, failed: lines(output, /^not ok/), skipped }, status, passed + skipped === 0);
}

/** The lines of scripts/lint. */
export function countLint(output: string, status: number): Counts {
  const passed = lines(output, /^ok: /);
  return settled({ passed, failed: lines(output, /^failed: /), skipped: 0 }, status, passed === 0);
}

function settled(counts: Counts, status: number, silent: boolean): Counts {
  return counts.failed === 0 && (status !== 0 || silent) ? { ...counts, failed: 1 } : counts;
}

function lines(output: string, pattern: RegExp): number {
  return output.split("\n").filter((line) => pattern.test(line)).length;
}
