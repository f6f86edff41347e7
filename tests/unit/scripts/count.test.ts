import { test } from "uvu";
import * as assert from "uvu/assert";
import { countC, countLint, countUvu } from "../../../scripts/testing/count.ts";

const summary = (total: number, passed: number, skipped: number) =>
  `• •   (${passed} / ${total})\n\n  Total:     ${total}\n  Passed:    ${passed}\n  Skipped:   ${skipped}\n`;

test("countUvu() adds the suites of a file and the tests that lack something", () => {
  const output = `skip: a pty works: needs the program tmux\n${summary(3, 3, 1)}${summary(2, 2, 0)}`;
  assert.equal(countUvu(output, 0), { passed: 5, failed: 0, skipped: 2 });
});

test("countUvu() counts failures, and a file that died without a summary as one", () => {
  assert.equal(countUvu(summary(3, 1, 0), 1), { passed: 1, failed: 2, skipped: 0 });
  assert.equal(countUvu("SyntaxError: Unexpected token\n", 1), { passed: 0, failed: 1, skipped: 0 });
  assert.equal(countUvu("", 0), { passed: 0, failed: 1, skipped: 0 });
  assert.equal(countUvu(summary(2, 2, 0), 1), { passed: 2, failed: 1, skipped: 0 });
});

test("countC() reads ok, not ok and SKIP lines", () => {
  const output = "ok adds\nok clones # SKIP needs user-namespace\nnot ok parses\n2 passed, 1 failed\n";
  assert.equal(countC(output, 1), { passed: 1, failed: 1, skipped: 1 });
});

test("countC() counts a crash, a compiler error and silence as failures", () => {
  assert.equal(countC("ok adds\n==1==ERROR: AddressSanitizer\n", 2), { passed: 1, failed: 1, skipped: 0 });
  assert.equal(countC("", 0), { passed: 0, failed: 1, skipped: 0 });
});

test("countLint() counts each check", () => {
  assert.equal(countLint("ok: types\nx.ts: wrong\nfailed: format\n", 1), { passed: 1, failed: 1, skipped: 0 });
});

test.run();
