import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodeEvent, encodePlan, planWords } from "../../../runner/helper/wire.ts";
import { storePlan } from "../../../runner/plan/build.ts";
import type { Op } from "../../../runner/plan/types.ts";

const identity = {
  kind: "single" as const,
  key: "single",
  uidMap: [{ inside: 0, outside: 1000, count: 1 }],
  gidMap: [{ inside: 0, outside: 1000, count: 1 }],
};
const plan = (...ops: Op[]) => storePlan(identity, ops);

test("encodePlan() starts with the name and version and ends every word with NUL", () => {
  const text = encodePlan(plan({ op: "finish" })).toString();
  assert.ok(text.startsWith("tsbox-plan\0" + "1\0namespace\0user\0"));
  assert.ok(text.endsWith("\0finish\0"));
});

test("planWords() counts lists and keeps empty words", () => {
  const words = planWords(plan({ op: "tmpfs", dest: "/t", flags: [], options: "" }, { op: "exec", argv: ["a", ""] }));
  assert.equal(words.slice(-8), ["tmpfs", "/t", "", "", "exec", "2", "a", ""]);
});

test("planWords() writes modes octal and masks hexadecimal", () => {
  const mask = 255n;
  const words = planWords(
    plan(
      { op: "mkdir", dest: "/d", mode: 0o1777 },
      { op: "capabilities", bounding: mask, effective: mask, permitted: mask, inheritable: 0n, ambient: 0n },
    ),
  );
  assert.equal(words.slice(-9), ["mkdir", "/d", "1777", "capabilities", "ff", "ff", "ff", "0", "0"]);
});

test("encodePlan() refuses a word with NUL, which would shift the words after it", () => {
  assert.throws(() => encodePlan(plan({ op: "exec", argv: ["a\0cwd\0/"] })), /NUL/);
});

test("decodeEvent() leaves out a line that was cut off", () => {
  assert.is(decodeEvent('{"event":"ex'), undefined);
  assert.is(decodeEvent("7"), undefined);
  assert.is(decodeEvent('{"event":"mapped","time":"1"}')?.event, "mapped");
});

test.run();
