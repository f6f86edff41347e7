/** Health checks: carried out by the monitor, told by inspect, ps and events. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());
const tsbox = (...args: string[]) => box.tsbox(...args);
const field = async (name: string, format: string) => (await tsbox("inspect", "--format", format, name)).stdout.trim();
const verdict = (name: string) => field(name, "{{.State.Health.Status}}");
const QUICK = ["--health-interval", "200ms", "--health-retries", "2"];

test("a check makes a container healthy and unhealthy, and keeps what the last five said", async () => {
  await tsbox(
    "run",
    "-d",
    "--name",
    "web",
    ...QUICK,
    "--health-cmd",
    "echo looked; test -e /ok",
    "base",
    "sh",
    "-c",
    "touch /ok; exec sleep 600",
  );
  assert.match((await tsbox("ps")).stdout, /\(health: starting\)|\(healthy\)/);
  assert.is((await tsbox("wait", "--condition", "healthy", "web")).stdout, "-1\n");
  assert.match((await tsbox("ps", "--filter", "health=healthy")).stdout, /Up .* \(healthy\)/);
  await tsbox("exec", "web", "rm", "/ok");
  assert.is((await tsbox("wait", "--condition", "unhealthy", "web")).code, 0);
  await until(async () => Number(await field("web", "{{len .State.Health.Log}}")) === 5);
  const [last] = JSON.parse(await field("web", "{{json .State.Health.Log}}")) as { ExitCode: number; Output: string }[];
  assert.is(last?.Output, "looked\n");
  assert.ok(Number(await field("web", "{{.State.Health.FailingStreak}}")) >= 2);
  const { stdout } = await tsbox(
    "events",
    "--since",
    "1h",
    "--stream=false",
    "-f",
    "event=health_status",
    "--format",
    "{{.Action}}",
  );
  assert.is(stdout, "health_status: healthy\nhealth_status: unhealthy\n");
});

test("healthcheck run checks now, and its verdict counts", async () => {
  assert.is((await tsbox("healthcheck", "run", "web")).code, 1);
  await tsbox("exec", "web", "touch", "/ok");
  assert.is((await tsbox("healthcheck", "run", "web")).code, 0);
  assert.is(await verdict("web"), "healthy");
  await tsbox("rm", "-f", "web");
  await tsbox("run", "-d", "--name", "none", "base", "sleep", "600");
  const { code, stderr } = await tsbox("healthcheck", "run", "none");
  assert.is(code, 125);
  assert.match(stderr, /it has no health check/);
});

test("a check that takes too long has failed, and leaves nothing behind", async () => {
  await tsbox(
    "run",
    "-d",
    "--name",
    "slow",
    ...QUICK,
    "--health-timeout",
    "100ms",
    "--health-cmd",
    "exec sleep 700",
    "base",
    "sleep",
    "600",
  );
  await tsbox("wait", "--condition", "unhealthy", "slow");
  const [last] = JSON.parse(await field("slow", "{{json .State.Health.Log}}")) as {
    ExitCode: number;
    Output: string;
  }[];
  assert.is(last?.ExitCode, -1);
  assert.match(last?.Output ?? "", /exceeded timeout/);
  assert.is((await tsbox("rm", "-f", "slow")).code, 0);
});

test("failures of the start period do not count", async () => {
  await tsbox(
    "run",
    "-d",
    "--name",
    "late",
    ...QUICK,
    "--health-start-period",
    "1h",
    "--health-start-interval",
    "100ms",
    "--health-cmd",
    "false",
    "base",
    "sleep",
    "600",
  );
  await until(async () => Number(await field("late", "{{len .State.Health.Log}}")) >= 4);
  assert.is(await field("late", "{{.State.Health.Status}} {{.State.Health.FailingStreak}}"), "starting 0");
  await tsbox("rm", "-f", "late");
});

test("--health-on-failure kills, stops or restarts", async () => {
  const bad = (action: string) =>
    tsbox(
      "run",
      "-d",
      "--name",
      action,
      ...QUICK,
      "--stop-timeout",
      "0",
      "--health-on-failure",
      action,
      "--health-cmd",
      "false",
      "base",
      "sleep",
      "600",
    );
  await bad("kill");
  await until(async () => (await field("kill", "{{.State.Status}} {{.State.ExitCode}}")) === "exited 137");
  await bad("stop");
  await until(async () => (await field("stop", "{{.State.Status}} {{.State.ExitCode}}")) === "exited 137");
  await bad("restart");
  await until(async () => Number(await field("restart", "{{.RestartCount}}")) >= 2);
  assert.is((await tsbox("rm", "-f", "kill", "stop", "restart")).code, 0);
});

test("the image's check is used, changed and left out", async () => {
  mkdirSync(join(box.dir, "context"));
  writeFileSync(join(box.dir, "context/Dockerfile"), 'FROM base\nHEALTHCHECK --interval=200ms CMD ["true"]\n');
  const built = await tsbox("build", "-q", "-t", "checked", join(box.dir, "context"));
  assert.is(built.code, 0, built.stderr);
  await tsbox("run", "-d", "--name", "own", "checked", "sleep", "600");
  assert.is((await tsbox("wait", "--condition", "healthy", "own")).code, 0);
  await tsbox("run", "-d", "--name", "without", "--no-healthcheck", "checked", "sleep", "600");
  assert.is(await field("without", "{{json .State.Health}}"), "null");
});

test.run();
