import { test } from "uvu";
import * as assert from "uvu/assert";
import { testProblems } from "../../../scripts/checks/tests.ts";

const header = 'import { test } from "uvu";\nimport * as assert from "uvu/assert";\n';

function problems(body: string): string[] {
  return testProblems(new Map([["a.test.ts", header + body]]));
}

test("testProblems() accepts a file that runs its tests", () => {
  assert.equal(problems('test("adds", () => {\n  assert.is(1 + 1, 2);\n});\ntest.run();\n'), []);
});

test("testProblems() names a file that never runs", () => {
  assert.equal(problems('test("adds", () => {\n  assert.is(1 + 1, 2);\n});\n// test.run();\n'), [
    "a.test.ts: never calls test.run()",
  ]);
});

test("testProblems() names a suite of the file's own that never runs", () => {
  const body =
    'const more = suite("more");\nmore("adds", () => assert.is(2, 2));\ntest("x", () => assert.ok(1));\ntest.run();\n';
  assert.equal(problems(body), ["a.test.ts: never calls more.run()"]);
});

test("testProblems() names only-tests, empty tests and asserted times, with their lines", () => {
  // In templates, which the check does not read: this file must pass it too.
  assert.equal(problems(`test.only("adds", () => assert.ok(1));\ntest.run();\n`), [
    "a.test.ts:3: runs only one test; take `.only` away",
  ]);
  assert.equal(problems(`test("nothing", () => {});\ntest.run();\n`), ["a.test.ts:3: has an empty test"]);
  assert.equal(problems(`test("fast", () => {\n  assert.ok(Date.now() - start < 100);\n});\ntest.run();\n`), [
    "a.test.ts:4: asserts how long something took; measure in scripts/bench.sh",
  ]);
});

test("testProblems() wants a reason for a skipped test", () => {
  assert.equal(problems(`test.skip("later", () => assert.ok(1));\ntest.run();\n`), [
    "a.test.ts:3: skips a test without saying why (in a comment)",
  ]);
  assert.equal(problems(`// Linux 6.18 refuses it.\ntest.skip("later", () => assert.ok(1));\ntest.run();\n`), []);
});

test.run();
