import { test } from "uvu";
import * as assert from "uvu/assert";
import { makeProgress, progressLine } from "../../../runner/cli/progress.ts";

const layer = `sha256:${"4".repeat(64)}`;

function record(isTTY: boolean, quiet = false) {
  let text = "";
  let time = 0;
  const progress = makeProgress({ isTTY, columns: 60, write: (part) => (text += part) }, quiet, () => time);
  return {
    progress,
    text: () => text,
    pass: (milliseconds: number) => {
      time += milliseconds;
    },
  };
}

test("off a terminal each phase is one line", () => {
  const { progress, text } = record(false);
  progress.update({ layer, phase: "waiting" });
  for (const current of [0, 500, 1000]) progress.update({ layer, phase: "downloading", current, total: 1_200_000 });
  progress.update({ layer, phase: "unpacking" });
  progress.update({ layer, phase: "done" });
  progress.end();
  assert.is(text(), "444444444444: downloading 1.2MB\n444444444444: unpacking\n444444444444: pull complete\n");
});

test("on a terminal the lines are drawn over", () => {
  const { progress, text, pass } = record(true);
  progress.update({ layer, phase: "downloading", current: 0, total: 100 });
  progress.update({ layer, phase: "downloading", current: 10, total: 100 });
  assert.is(text().split("\n").length, 2);
  pass(100);
  progress.update({ layer, phase: "downloading", current: 50, total: 100 });
  assert.ok(text().includes("\x1b[1A\r\x1b[2K444444444444: downloading [="));
  assert.match(text(), /=> +\] 50B\/100B\n$/);
});

test("quiet is silent", () => {
  const { progress, text } = record(true, true);
  progress.update({ layer, phase: "done" });
  progress.end();
  assert.is(text(), "");
});

test("a bar is never wider than the terminal", () => {
  for (const columns of [10, 30, 40, 80, 300]) {
    for (const current of [0, 50, 100, 999]) {
      assert.ok(progressLine({ layer, phase: "downloading", current, total: 100 }, columns).length < columns);
    }
  }
  assert.match(progressLine({ layer, phase: "downloading", current: 100, total: 100 }, 80), /\[=+\] 100B\/100B$/);
});

test.run();
