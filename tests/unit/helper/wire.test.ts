import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodeEvent, encodePlan, planWords, replaceCgroup } from "../../../runner/helper/wire.ts";
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

test("replaceCgroup() changes the words of the cgroup and no others", () => {
  const settings = [{ file: "memory.max", value: "5", optional: false }];
  // names that look like words of the plan
  const made = encodePlan({
    ...plan({ op: "exec", argv: ["cgroup-set", "process-limit", "7"] }),
    cgroup: { name: "box", optional: true, settings: [{ file: "pids.max", value: "9", optional: true }, ...settings] },
    hostname: "process-limit",
    processLimit: 9,
  });
  const words = (changes: Parameters<typeof replaceCgroup>[1]) => replaceCgroup(made, changes).toString().split("\0");
  const changed = words({ required: true, settings });
  assert.equal(changed.slice(0, 10), [
    "tsbox-plan",
    "1",
    "cgroup",
    "box",
    "",
    "cgroup-set",
    "memory.max",
    "5",
    "",
    "namespace",
  ]);
  assert.equal(changed.slice(9), made.toString().split("\0").slice(13));
  const limited = words({ required: false, settings: [], processLimit: 3 });
  assert.equal(limited.slice(2, 8), ["cgroup", "box", "optional", "process-limit", "3", "namespace"]);
  assert.is(limited.filter((word) => word === "process-limit").length, 3);
  assert.is(
    words({ required: false, settings: [], processLimit: 0 }).filter((word) => word === "process-limit").length,
    2,
  );
  assert.throws(() => replaceCgroup(encodePlan(plan({ op: "finish" })), { required: false, settings }), /no cgroup/);
});

test("decodeEvent() leaves out a line that was cut off", () => {
  assert.is(decodeEvent('{"event":"ex'), undefined);
  assert.is(decodeEvent("7"), undefined);
  assert.is(decodeEvent('{"event":"mapped","time":"1"}')?.event, "mapped");
});

test.run();
