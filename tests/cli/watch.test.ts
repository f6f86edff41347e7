/** pause, top, stats, events, update, wait --condition: looking at and holding what runs. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { has } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());
const tsbox = (...args: string[]) => box.tsbox(...args);
const field = async (name: string, format: string) => (await tsbox("inspect", "--format", format, name)).stdout.trim();
const stateOf = (pid: string) => /^State:\s+(\S)/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];

/** Forks all the time: what is stopped last may have made another meanwhile. */
const FORKS = "while :; do (echo x; :) ; done";

test("pause stops every process, also of a program that forks all the time, and unpause lets them go on", async () => {
  await tsbox("run", "-d", "--name", "busy", "base", "sh", "-c", FORKS);
  assert.equal(await tsbox("pause", "busy"), { code: 0, stdout: "busy\n", stderr: "" });
  assert.is(await field("busy", "{{.State.Status}} {{.State.Paused}} {{.State.Running}}"), "paused true true");
  const pids = (await tsbox("top", "busy", "-o", "pid")).stdout.trim().split("\n").slice(1);
  assert.ok(pids.length > 0);
  // one that had ended, and that its stopped parent cannot take away, does nothing either
  for (const pid of pids) assert.match(stateOf(pid.trim()) ?? "", /^[TZ]$/);
  const { stdout } = await tsbox("logs", "busy");
  assert.is((await tsbox("logs", "busy")).stdout, stdout);
  assert.match((await tsbox("ps")).stdout, /\(Paused\)/);
  assert.match((await tsbox("exec", "busy", "true")).stderr, /state is "paused"/);
  assert.match((await tsbox("pause", "busy")).stderr, /state is "paused", expected "running"/);
  assert.is((await tsbox("unpause", "busy")).code, 0);
  await until(async () => (await tsbox("logs", "busy")).stdout.length > stdout.length);
});

test("a paused container can be stopped and removed", async () => {
  await tsbox("pause", "busy");
  assert.is((await tsbox("stop", "-t", "0", "busy")).code, 0);
  assert.is(await field("busy", "{{.State.Status}}"), "exited");
  assert.is((await tsbox("start", "busy")).code, 0);
  await tsbox("pause", "busy");
  assert.is((await tsbox("rm", "busy")).code, 1);
  assert.is((await tsbox("rm", "-f", "busy")).code, 0);
});

test("top takes options of ps and podman's descriptors", async () => {
  await tsbox("run", "-d", "--name", "two", "-u", "1:1", "base", "sh", "-c", "sleep 600 & sleep 601 & wait");
  await until(async () => (await tsbox("top", "two")).stdout.split("\n").length === 5);
  const lines = (await tsbox("top", "two")).stdout.split("\n");
  assert.match(lines[0] ?? "", /^UID +PID +PPID +C +STIME +TTY +TIME +CMD$/);
  assert.match(lines[1] ?? "", /^\S+ +\d+ +\d+ +\d+ +\S+ +\? +00:00:0\d +sh -c sleep 600 /);
  assert.match((await tsbox("top", "two", "aux")).stdout, /^USER +PID +%CPU/);
  assert.match((await tsbox("top", "two", "pid", "uid", "args")).stdout, /^PID +UID +COMMAND\n1 +1 +sh -c/);
  assert.match((await tsbox("top", "two", "-o", "pid,nonsense")).stderr, /Cannot show column "nonsense"/);
});

test("stats --no-stream shows one line a container", async () => {
  const { stdout } = await tsbox("stats", "--no-stream");
  assert.match(stdout, /^CONTAINER ID +NAME +CPU % +MEM USAGE \/ LIMIT +MEM % +NET I\/O +BLOCK I\/O +PIDS\n/);
  assert.match(stdout, / two +\d+\.\d\d% +[\d.]+[KM]iB \/ /);
  const one = JSON.parse((await tsbox("stats", "--no-stream", "--format", "json", "two")).stdout) as { PIDs: number };
  assert.is(one.PIDs, 3);
});

test("update changes the policy that the next end meets", async () => {
  await tsbox("run", "-d", "--name", "later", "base", "sleep", "600");
  assert.is((await tsbox("update", "--restart", "on-failure:1", "later")).code, 0);
  process.kill(Number(await field("later", "{{.State.Pid}}")), "SIGKILL");
  await until(async () => (await field("later", "{{.RestartCount}} {{.State.Status}}")) === "1 running");
});

test("wait --condition", async () => {
  await tsbox("create", "--name", "soon", "base", "sh", "-c", "until [ -e /go ]; do sleep 0.05; done; exit 3");
  const running = tsbox("wait", "--condition", "running", "soon");
  const exited = tsbox("wait", "--condition", "exited", "soon");
  const removed = tsbox("wait", "--condition=removed", "soon");
  await tsbox("start", "soon");
  assert.is((await running).stdout, "-1\n");
  await tsbox("exec", "soon", "touch", "/go");
  assert.is((await exited).stdout, "3\n");
  await tsbox("rm", "soon");
  assert.is((await removed).stdout, "3\n");
});

test("events tells of every step, filtered and followed", async () => {
  const followed = box.start(["events", "--filter", "container=told", "--format", "{{.Action}}"]);
  let seen = "";
  followed.stdout?.on("data", (data) => {
    seen += data;
  });
  await until(async () => {
    // it listens when it shows the first one
    await tsbox("create", "--replace", "--name", "told", "-l", "kind=test", "base", "sh", "-c", "exit 4");
    return seen !== "";
  });
  await tsbox("start", "told");
  await tsbox("wait", "told");
  await tsbox("rename", "told", "said");
  await tsbox("rm", "said");
  const { stdout } = await tsbox(
    "events",
    "--since",
    "1h",
    "--stream=false",
    "--filter",
    "label=kind=test",
    "--format",
    "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.exitCode}}",
  );
  assert.match(stdout, /start told .*\ndie told 4\nrename said .*\ndestroy said .*\n$/);
  await until(() => /create\nstart\ndie\n$/.test(seen));
  const text = (await tsbox("events", "--since", "1h", "--until", "0s", "-f", "event=die")).stdout;
  assert.match(text, /^\S+Z container die [0-9a-f]{64} \(exitCode=/m);
});

test("selection: --all, --latest, --filter and --cidfile name containers", async () => {
  await tsbox("rm", "-f", "--all");
  assert.equal(readdirSync(join(box.env.TSBOX_ROOT ?? "", "containers")), []);
  const cidfile = join(box.dir, "cid");
  await tsbox("run", "-d", "--name", "a1", "--cidfile", cidfile, "-l", "team=red", "base", "sleep", "600");
  await tsbox("run", "-d", "--name", "a2", "base", "sleep", "600");
  assert.is((await tsbox("kill", "--latest")).code, 0);
  assert.is((await tsbox("stop", "-t", "0", "--filter", "label=team=red")).code, 0);
  assert.is((await tsbox("start", "--all")).code, 0);
  assert.is((await tsbox("rm", "-f", "--cidfile", cidfile)).code, 0);
  assert.is((await tsbox("ps", "--format", "{{.Names}}")).stdout, "a2\n");
  assert.match((await tsbox("stop")).stderr, /takes at least 1 word/);
});

test("ps --size, --filter health and label!", async () => {
  await tsbox("run", "--name", "wrote", "-l", "x=1", "base", "sh", "-c", "head -c 5000 /dev/zero >/f");
  assert.match((await tsbox("ps", "-as", "--filter", "name=wrote")).stdout, /5kB \(virtual [\d.]+MB\)/);
  assert.is((await tsbox("ps", "-a", "--filter", "label!=x", "--format", "{{.Names}}")).stdout, "a2\n");
  assert.is((await tsbox("ps", "-a", "--filter", "health=none", "--format", "{{.Names}}")).stdout, "wrote\na2\n");
});

test("events tell of each exec, from its making to its end", async () => {
  await tsbox("run", "-d", "--name", "execs", "-l", "k=v", "base", "sleep", "600");
  await tsbox("exec", "execs", "sh", "-c", "exit 3");
  const { stdout } = await tsbox(
    "events",
    "--since",
    "10m",
    "--until",
    "0s",
    "--filter",
    "container=execs",
    "--format",
    "json",
  );
  const told = stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const execs = told.filter(({ Action }) => Action.startsWith("exec_"));
  assert.equal(
    execs.map(({ Action }) => Action),
    ["exec_create: sh -c exit 3", "exec_start", "exec_die"],
  );
  assert.is(new Set(execs.map(({ Actor }) => Actor.Attributes.execID)).size, 1);
  assert.is(execs[2].Actor.Attributes.exitCode, "3");
  assert.is(told.filter(({ Action }) => Action === "start").length, 1);
  await tsbox("rm", "-f", "execs");
});

test("update --ulimit holds for what runs, for execs and for the next start", async () => {
  const script = "echo $(ulimit -n); while :; do sleep 0.05; done";
  await tsbox("run", "-d", "--name", "limits", "--ulimit", "nofile=500:600", "base", "sh", "-c", script);
  await until(async () => (await tsbox("logs", "limits")).stdout === "500\n");
  assert.is((await tsbox("exec", "limits", "sh", "-c", "ulimit -n")).stdout, "500\n");
  assert.is((await tsbox("update", "--ulimit", "nofile=300:400", "limits")).stderr, "");
  const pid = await field("limits", "{{.State.Pid}}");
  assert.match(readFileSync(`/proc/${pid}/limits`, "utf8"), /Max open files +300 +400/);
  assert.is((await tsbox("exec", "limits", "sh", "-c", "ulimit -n")).stdout, "300\n");
  assert.is(await field("limits", "{{json .HostConfig.Ulimits}}"), '[{"Name":"nofile","Soft":300,"Hard":400}]');
  await tsbox("restart", "-t", "0", "limits");
  await until(async () => (await tsbox("logs", "limits")).stdout.endsWith("300\n"));
  if (!has("cgroup2"))
    assert.match((await tsbox("update", "--memory", "64m", "limits")).stderr, /without a cgroup of its own/);
  await tsbox("rm", "-f", "limits");
});

test.run();
