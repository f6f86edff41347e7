/** What lives with what, and what cannot be held up. */
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate, setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";
import { hostileFolder } from "./attack.ts";

const able = need("user-namespace", test);
const box = workspace();
let folder = "";
test.before(() => {
  folder = hostileFolder(box);
});
test.after(() => box[Symbol.asyncDispose]());

async function gone(pid: number): Promise<boolean> {
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      if (/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"))) return true;
    } catch {
      return true;
    }
    await sleep(25);
  }
  return false;
}

able("pid 1 killed takes every process of the container along", async () => {
  await box.tsbox("run", "-d", "--name", "family", "base", "sh", "-c", "sleep 61 & sleep 62 & echo both; wait");
  await until(async () => (await box.tsbox("logs", "family")).stdout === "both\n");
  const pid = Number((await box.tsbox("inspect", "--format", "{{.State.Pid}}", "family")).stdout);
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ").map(Number);
  assert.is(children.length, 2);
  await box.tsbox("kill", "family");
  for (const child of [pid, ...children]) assert.ok(await gone(child));
});

able("SIGKILL to the foreground helper takes the container along", async () => {
  const child = box.start(["run", "--name", "front", "base", "sh", "-c", "echo up; sleep 63"]);
  await once(child.stdout as NodeJS.ReadableStream, "data");
  const pid = Number((await box.tsbox("inspect", "--format", "{{.State.Pid}}", "front")).stdout);
  assert.ok(pid > 1);
  child.kill("SIGKILL");
  assert.ok(await gone(pid));
});

/** Processes that have this in their command line. */
function processesOf(word: string): number[] {
  const commandLine = (pid: string) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, "latin1");
    } catch {
      return "";
    }
  };
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(word))
    .map(Number);
}

able("a front process killed while the container is set up leaves no monitor", async () => {
  for (let attempt = 0; attempt < 12; attempt++) {
    const id = (await box.tsbox("create", "-t", "base", "true")).stdout.trim();
    const child = box.start(["start", "-a", id]);
    const ended = once(child, "exit");
    const events = join(box.env.TSBOX_ROOT as string, "containers", id, "events");
    while (child.exitCode === null && !(existsSync(events) && readFileSync(events, "utf8").includes('"mapped"')))
      await setImmediate();
    child.kill("SIGKILL");
    await ended;
    await until(() => processesOf(id).length === 0);
  }
});

able("SIGKILL to the monitor ends a first process that has changed its ids, too", async () => {
  const script = `exec su nobody -s /bin/sh -c "echo up; exec sleep 64"`;
  for (const flags of [[], ["--restart", "always"]]) {
    await box.tsbox("run", "-d", "--replace", "--name", "dropped", ...flags, "base", "sh", "-c", script);
    await until(async () => (await box.tsbox("logs", "dropped")).stdout === "up\n");
    const format = "{{.State.Pid}} {{.State.MonitorPid}}";
    const found = (await box.tsbox("inspect", "--format", format, "dropped")).stdout.split(" ").map(Number);
    const [pid = 0, monitor = 0] = found;
    assert.ok(pid > 1 && monitor > 1);
    process.kill(monitor, "SIGKILL");
    assert.ok(await gone(pid));
  }
});

able("what a killed monitor was to remove goes with the next verb that changes the store, volumes too", async () => {
  await box.tsbox("run", "-d", "--rm", "--name", "lost", "-v", "/data", "base", "sleep", "65");
  process.kill(Number((await box.tsbox("inspect", "--format", "{{.State.MonitorPid}}", "lost")).stdout), "SIGKILL");
  await until(async () => (await box.tsbox("inspect", "--format", "{{.State.Status}}", "lost")).stdout === "exited\n");
  assert.is((await box.tsbox("volume", "create", "kept")).code, 0);
  assert.is((await box.tsbox("ps", "-aq", "--filter", "name=lost")).stdout, "");
  assert.is((await box.tsbox("volume", "ls", "-q")).stdout, "kept\n");
});

able("a detached program that fills its output without a reader is not held up", async () => {
  await box.tsbox("run", "-d", "--name", "loud", "-v", `${folder}:/h:ro`, "base", "/h/attack", "fill");
  assert.is((await box.tsbox("wait", "loud")).stdout.trim(), "0");
});

able("a container cannot forge the stream, time or line of another log entry", async () => {
  const forged = "2001-01-01T00:00:00.000000000Z stderr F forged";
  await box.tsbox("run", "--name", "forger", "base", "printf", `\\n${forged}\\n`);
  const { stdout, stderr } = await box.tsbox("logs", "forger");
  assert.is(stdout, `\n${forged}\n`);
  assert.is(stderr, "");
});

able("--ulimit nproc bounds a fork bomb", async () => {
  const { stdout } = await box.tsbox(
    ...["run", "--rm", "--ulimit", "nproc=50:50", "-u", "1000", "-v", `${folder}:/h:ro`, "base", "/h/attack", "forks"],
  );
  assert.match(stdout, /EAGAIN/);
});

test.run();
