import { test } from "uvu";
import * as assert from "uvu/assert";
import { type ContainerEvent, foldState, rfc3339, ZERO_TIME } from "../../../runner/container/state.ts";
import type { HelperEvent } from "../../../runner/plan/types.ts";

const time = "1700000000123456789";
const created: HelperEvent = { event: "created", time, pid: 10, startTime: "5", monitor: 9 };
const exec: HelperEvent = { event: "exec", time, pid: 10, startTime: "5" };
const exited: HelperEvent = {
  event: "exited",
  time,
  code: 137,
  signal: 9,
  reason: "timeout",
  maxRssKiB: 1,
  userMicros: 1,
  systemMicros: 1,
};
const alive = () => true;
const dead = () => false;

test("foldState() starts as created", () => {
  const state = foldState([], alive);
  assert.is(state.status, "created");
  assert.is(state.startedAt, ZERO_TIME);
});

test("foldState() runs once the program was exec'd, not before", () => {
  assert.is(foldState([created], alive).status, "created");
  const state = foldState([created, exec], alive);
  assert.is(state.status, "running");
  assert.is(state.pid, 10);
  assert.is(state.monitor, 9);
});

test("foldState() keeps code, signal and reason of the end", () => {
  const state = foldState([created, exec, exited], dead);
  assert.equal([state.status, state.exitCode, state.signal, state.reason, state.pid], ["exited", 137, 9, "timeout", 0]);
});

test("foldState() knows the cgroup of the last start only, and what was killed in it", () => {
  const hello: HelperEvent = { event: "hello", time, version: 1 };
  const cgroup: HelperEvent = { event: "cgroup", time, path: "/a/b" };
  const state = foldState(
    [hello, cgroup, created, exec, { ...exited, code: 0, signal: 0, reason: "exit", oomKills: 1 }],
    alive,
  );
  assert.equal([state.cgroup, state.oomKilled, state.reason], ["/a/b", true, "exit"]);
  const again = foldState([hello, cgroup, created, exec, { ...exited, reason: "oom" }, hello, created, exec], alive);
  assert.equal([again.cgroup, again.oomKilled], ["", false]);
});

test("foldState() sees a container as lost whose process is gone without a word", () => {
  const state = foldState([created, exec], dead);
  assert.equal([state.status, state.reason, state.pid], ["exited", "lost", 0]);
});

test("foldState() waits for the word of a monitor that is still there", () => {
  const state = foldState([created, exec], (pid) => pid === created.monitor);
  assert.equal([state.status, state.pid], ["running", 10]);
});

test("foldState() remembers a failed set-up as never started", () => {
  const failed: HelperEvent = {
    event: "failed",
    time,
    op: "exec",
    index: 3,
    of: 3,
    path: "/nope",
    errno: "ENOENT",
    message: "Cannot execute: No such file or directory",
    exitCode: 127,
  };
  const state = foldState([created, failed], dead);
  assert.equal([state.status, state.exitCode, state.reason], ["created", 127, "failed"]);
});

test("rfc3339() keeps nanoseconds", () => {
  assert.is(rfc3339(time), "2023-11-14T22:13:20.123456789Z");
});

test("foldState() knows what stands still, and what waits for its next life", () => {
  const life: ContainerEvent[] = [{ event: "hello", time, version: 1, boot: "b" }, created, exec];
  const paused: ContainerEvent[] = [...life, { event: "paused", time }];
  assert.is(foldState(paused, alive).status, "paused");
  assert.is(foldState([...paused, { event: "unpaused", time }], alive).status, "running");
  assert.is(foldState(paused, dead).reason, "lost");
  const waiting: ContainerEvent[] = [...life, exited, { event: "restarting", time, count: 2, delay: 200 }];
  assert.is(foldState(waiting, alive).status, "restarting");
  assert.is(foldState(waiting, alive).restarts, 2);
  assert.is(foldState(waiting, dead).status, "exited");
  assert.is(foldState([...waiting, exec], alive).status, "running");
  assert.is(foldState([...waiting, { event: "start", time }, exec], alive).restarts, 0);
});

test("foldState() asks for processes in the boot that they were noted in", () => {
  const boots: string[] = [];
  const events: ContainerEvent[] = [{ event: "hello", time, version: 1, boot: "first" }, created, exec];
  foldState(events, (_pid, _startTime, boot) => {
    boots.push(boot);
    return true;
  });
  assert.equal(boots, ["first"]);
});

test("foldState() tells who is being removed from who is half removed", () => {
  const removing: ContainerEvent = { event: "removing", time, volumes: false, pid: 20, startTime: "7", boot: "b" };
  assert.is(foldState([created, exec, exited, removing], alive).status, "removing");
  assert.is(foldState([created, exec, exited, removing], dead).status, "dead");
});

test.run();
