/** ps, stop, kill, rm, wait, inspect: a container from its start to its end. */
import { appendFileSync, existsSync, readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

const tsbox = (...args: string[]) => box.tsbox(...args);
const store = () => box.env.TSBOX_ROOT ?? "";
const folders = (): string[] =>
  existsSync(join(store(), "containers")) ? readdirSync(join(store(), "containers")) : [];
const field = async (name: string, format: string) => (await tsbox("inspect", "--format", format, name)).stdout.trim();

/** A container in the background that ends 7 on SIGTERM, 8 on SIGINT and 9 on SIGUSR1. */
async function startTrapping(name: string, ...flags: string[]) {
  const script = "trap 'exit 7' TERM; trap 'exit 8' INT; trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done";
  const { code, stderr } = await tsbox("run", "-d", "--name", name, ...flags, "base", "sh", "-c", script);
  assert.is(code, 0, stderr);
  await until(async () => (await tsbox("logs", name)).stdout === "ready\n");
}

test("run -d prints the id and returns", async () => {
  const { code, stdout, stderr } = await tsbox("run", "-d", "--name", "aa", "base", "sleep", "600");
  assert.is(code, 0);
  assert.is(stderr, "");
  assert.match(stdout, /^[0-9a-f]{64}\n$/);
  assert.is(await field("aa", "{{.Id}}"), stdout.trim());
  assert.is(await field(stdout.slice(0, 8), "{{.State.Status}} {{.State.Running}}"), "running true");
  const pid = await field("aa", "{{.State.Pid}}");
  assert.equal(readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0"), ["sleep", "600", ""]);
});

test("run -d -i keeps standard input open, with a terminal or without", async () => {
  for (const [name, flags] of [
    ["di", "-di"],
    ["dit", "-dit"],
  ] as const) {
    await tsbox("run", flags, "--name", name, "base", "sh", "-c", "echo reading; cat; echo ended");
    await until(async () => (await tsbox("logs", name)).stdout.startsWith("reading"));
    assert.is(await field(name, "{{.State.Status}}"), "running");
    assert.match((await tsbox("logs", name)).stdout, /^reading\r?\n$/);
    assert.is((await tsbox("rm", "-f", name)).code, 0);
  }
});

test("run -d of a program that is not there fails with 127 and prints no id", async () => {
  const { code, stdout, stderr } = await tsbox("run", "-d", "--rm", "base", "no-such");
  assert.is(code, 127);
  assert.is(stdout, "");
  assert.match(stderr, /Cannot execute "no-such"/);
});

test("ps lists what runs, ps -a everything", async () => {
  await tsbox("run", "--name", "ended", "-l", "kind=short", "base", "sh", "-c", "exit 5");
  const running = (await tsbox("ps")).stdout;
  assert.match(running, /^CONTAINER ID +IMAGE +COMMAND +CREATED +STATUS +PORTS +NAMES\n/);
  assert.match(running, /sleep 600.*Up .* aa\n/);
  assert.not.match(running, /ended/);
  assert.match((await tsbox("ps", "-a")).stdout, /Exited \(5\).* ended\n/);
  assert.match((await tsbox("ps", "-aq")).stdout, /^[0-9a-f]{12}\n[0-9a-f]{12}\n$/);
});

test("ps --filter and --format", async () => {
  const names = async (...filters: string[]) =>
    (await tsbox("ps", "-a", ...filters.flatMap((one) => ["--filter", one]), "--format", "{{.Names}}")).stdout;
  assert.is(await names("status=running"), "aa\n");
  assert.is(await names("status=exited"), "ended\n");
  assert.is(await names("name=end"), "ended\n");
  assert.is(await names("label=kind"), "ended\n");
  assert.is(await names("label=kind=short", "exited=5"), "ended\n");
  assert.is(await names("label=kind=long"), "");
  const lines = (await tsbox("ps", "-a", "--format", "json")).stdout.trim().split("\n");
  assert.ok(lines.length >= 1 && JSON.parse(lines[0] ?? ""));
});

test("a running container is not removed without -f", async () => {
  const { code, stderr } = await tsbox("rm", "aa");
  assert.is(code, 1);
  assert.match(stderr, /Cannot remove container "aa": state is "running"/);
  assert.is((await tsbox("rm", "-f", "aa")).stdout, "aa\n");
  assert.is((await tsbox("inspect", "aa")).code, 1);
});

test("stop sends SIGTERM, and the container's own status is kept", async () => {
  await startTrapping("term");
  assert.equal(await tsbox("stop", "term"), { code: 0, stdout: "term\n", stderr: "" });
  assert.is(await field("term", "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}"), "exited 7 0");
  assert.is((await tsbox("stop", "term")).code, 0);
});

test("stop sends SIGKILL after its time", async () => {
  await tsbox("run", "-d", "--name", "deaf", "base", "sh", "-c", "trap '' TERM; while :; do sleep 0.05; done");
  assert.is((await tsbox("stop", "-t", "0", "deaf")).code, 0);
  assert.is(await field("deaf", "{{.State.ExitCode}}"), "137");
});

test("--stop-signal and --stop-timeout of run are what stop uses", async () => {
  await startTrapping("int", "--stop-signal", "INT");
  await tsbox("stop", "int");
  assert.is(await field("int", "{{.State.ExitCode}}"), "8");
  await tsbox("run", "-d", "--name", "brief", "--stop-timeout", "0", "base", "sleep", "600");
  await tsbox("stop", "brief");
  assert.is(await field("brief", "{{.State.ExitCode}}"), "137");
});

test("kill -s sends one signal, kill without sends SIGKILL", async () => {
  await startTrapping("usr");
  assert.equal(await tsbox("kill", "-s", "USR1", "usr"), { code: 0, stdout: "usr\n", stderr: "" });
  assert.is((await tsbox("wait", "usr")).stdout, "9\n");
  await tsbox("run", "-d", "--name", "killed", "base", "sleep", "600");
  await tsbox("kill", "killed");
  assert.is((await tsbox("wait", "killed")).stdout, "137\n");
  const again = await tsbox("kill", "killed");
  assert.is(again.code, 1);
  assert.match(again.stderr, /state is "exited"/);
});

test("kill refuses what is no signal", async () => {
  const { code, stderr } = await tsbox("kill", "-s", "NOPE", "killed");
  assert.is.not(code, 0);
  assert.match(stderr, /NOPE/);
});

function openFiles(pid: number | undefined): string[] {
  return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)];
    } catch {
      return []; // closed just now
    }
  });
}

test("wait blocks until the end, of several too", async () => {
  await tsbox("run", "-d", "--name", "w1", "base", "sh", "-c", "sleep 0.5; exit 3");
  await tsbox("run", "-d", "--name", "w2", "base", "sh", "-c", "exit 4");
  assert.is((await tsbox("wait", "w1", "w2")).stdout, "3\n4\n");
});

test("wait of a container with --rm tells its status", async () => {
  const script = "until [ -e /w/go ]; do sleep 0.05; done; exit 6";
  await tsbox("run", "-d", "--rm", "--name", "gone", "-v", `${box.dir}:/w`, "base", "sh", "-c", script);
  const waiting = box.start(["wait", "gone"]);
  const status = text(waiting.stdout as Readable);
  // it has the events open as long as it waits
  await until(() => openFiles(waiting.pid).some((path) => path.endsWith("/events")));
  writeFileSync(join(box.dir, "go"), "");
  assert.is(await status, "6\n");
  assert.is((await tsbox("inspect", "gone")).code, 1);
});

test("inspect prints JSON of containers, and 1 for what is not there", async () => {
  const [found] = JSON.parse((await tsbox("inspect", "ended")).stdout) as {
    State: { ExitCode: number };
    Config: { Cmd: string[] };
  }[];
  assert.is(found?.State.ExitCode, 5);
  assert.equal(found?.Config.Cmd, ["sh", "-c", "exit 5"]);
  const { code, stderr } = await tsbox("inspect", "not-there");
  assert.is(code, 1);
  assert.match(stderr, /not-there/);
});

test("rm of several goes on after a failure", async () => {
  const { code, stdout, stderr } = await tsbox("rm", "ended", "not-there", "term");
  assert.is(code, 1);
  assert.is(stdout, "ended\nterm\n");
  assert.match(stderr, /not-there/);
});

test("several are started, stopped and removed at once, and told in their order", async () => {
  // the first ends only after the second was told to
  const waits = "trap 'while [ ! -e /v/told ]; do sleep 0.05; done; exit 3' TERM";
  const tells = "trap 'touch /v/told; exit 4' TERM";
  const names = ["at1", "at2"];
  for (const [number, trap] of [waits, tells].entries()) {
    const script = `${trap}; echo ready; while :; do sleep 0.05; done`;
    await tsbox("create", "--name", names[number] as string, "-v", "at:/v", "base", "sh", "-c", script);
  }
  assert.is((await tsbox("start", ...names)).stdout, "at1\nat2\n");
  for (const name of names) await until(async () => (await tsbox("logs", name)).stdout === "ready\n");
  const stopped = await tsbox("stop", "-t", "60", "at1", "not-there", "at2");
  assert.is(stopped.stdout, "at1\nat2\n");
  assert.match(stopped.stderr, /not-there/);
  assert.is(await field("at1", "{{.State.ExitCode}}"), "3");
  assert.is((await tsbox("rm", "at2", "at2", "at1")).stdout, "at2\nat1\n");
  await tsbox("volume", "rm", "at");
});

test("start begins with the first where one needs the network of another", async () => {
  await tsbox("create", "--name", "giver", "base", "sleep", "600");
  await tsbox("create", "--name", "taker", "--network", "container:giver", "base", "sleep", "600");
  assert.is((await tsbox("start", "giver", "taker")).stdout, "giver\ntaker\n");
  assert.is((await tsbox("rm", "-f", "taker", "giver")).code, 0);
});

test("the name is free again after rm, and after a --rm container ended", async () => {
  for (let round = 0; round < 2; round++)
    assert.is((await tsbox("run", "--rm", "--name", "term", "base", "true")).code, 0);
});

test("nothing is left when all are removed", async () => {
  const ids = (await tsbox("ps", "-aq")).stdout.trim().split("\n");
  assert.is((await tsbox("rm", "-f", ...ids)).code, 0);
  assert.equal(folders(), []);
  assert.equal(readdirSync(join(store(), "names")), []);
});

test("a container whose set-up fails with --rm leaves nothing", async () => {
  for (const args of [
    ["base", "no-such"],
    ["-v", "/etc/passwd:/etc", "base", "true"],
    ["-w", "/etc/passwd", "base", "true"],
  ])
    assert.is.not((await tsbox("run", "--rm", ...args)).code, 0);
  assert.equal(folders(), []);
  assert.equal(readdirSync(join(store(), "names")), []);
});

test("run --attach shows only the streams that are named, and keeps the status", async () => {
  const script = "echo out; echo err >&2; exit 3";
  const shown = (...streams: string[]) =>
    tsbox("run", "--rm", ...streams.map((stream) => `--attach=${stream}`), "base", "sh", "-c", script);
  assert.equal(await shown("stdout"), { code: 3, stdout: "out\n", stderr: "" });
  assert.equal(await shown("stderr"), { code: 3, stdout: "", stderr: "err\n" });
  assert.equal(await shown("none"), { code: 3, stdout: "", stderr: "" });
  const both = await box.run(["run", "--rm", "-i", "-a", "stdin", "-a", "stdout", "base", "cat"], { input: "hey" });
  assert.equal(both, { code: 0, stdout: "hey", stderr: "" });
  assert.match((await tsbox("run", "-a", "nowhere", "base", "true")).stderr, /unknown stream "nowhere"/);
  assert.match((await tsbox("run", "-d", "-a", "stdout", "base", "true")).stderr, /--attach together with --detach/);
});

test("run --sig-proxy=false: a signal ends tsbox, and the program goes on", async () => {
  const child = box.start(["run", "--sig-proxy=false", "--name", "spared", "base", "sh", "-c", "echo up; sleep 600"]);
  await until(async () => (await tsbox("logs", "spared")).stdout === "up\n");
  const ended = new Promise((resolve) => child.on("close", resolve));
  child.kill("SIGTERM");
  assert.is(await ended, 143);
  assert.is(await field("spared", "{{.State.Status}}"), "running");
  await tsbox("rm", "-f", "spared");
});

test("network ls and inspect show what there is: none and host", async () => {
  await tsbox("run", "-d", "--name", "alone", "base", "sleep", "600");
  assert.is((await tsbox("network", "ls", "--format", "{{.Name}} {{.Driver}}")).stdout, "host host\nnone null\n");
  assert.match((await tsbox("network", "inspect", "none")).stdout, /"Name": "alone"/);
  assert.not.match((await tsbox("network", "inspect", "host")).stdout, /"Name": "alone"/);
  assert.is((await tsbox("network", "exists", "none")).code, 0);
  assert.is((await tsbox("network", "exists", "mine")).code, 1);
  assert.match((await tsbox("network", "inspect", "mine")).stderr, /Cannot find network "mine"/);
  await tsbox("rm", "-f", "alone");
});

test("rm -f of a container with --rm, once it has been started again", async () => {
  await tsbox("run", "-d", "--rm", "--name", "r", "-v", "/data", "base", "sleep", "600");
  await tsbox("restart", "-t", "0", "r");
  assert.equal(await tsbox("rm", "-f", "r"), { code: 0, stdout: "r\n", stderr: "" });
  await until(async () => (await tsbox("ps", "-aq", "--filter", "name=^r$")).stdout === "");
  // its monitor takes the folder first
  await until(async () => (await tsbox("volume", "ls", "-q")).stdout === "");
});

test("a container whose rm was killed is dead, and goes with the next verb that changes the store", async () => {
  const id = (await tsbox("create", "--name", "half", "-v", "/data", "base", "true")).stdout.trim();
  const gone = { event: "removing", time: "1", volumes: true, pid: 1, startTime: "0", boot: "another" };
  appendFileSync(join(store(), "containers", id, "events"), `${JSON.stringify(gone)}\n`);
  assert.is(await field("half", "{{.State.Status}} {{.State.Dead}}"), "dead true");
  assert.is((await tsbox("ps", "-aq", "--filter", "status=dead")).stdout, `${id.slice(0, 12)}\n`);
  await tsbox("create", "--rm", "--name", "next", "base", "true");
  assert.is((await tsbox("ps", "-aq", "--filter", "name=half")).stdout, "");
  assert.is((await tsbox("volume", "ls", "-q")).stdout, "");
  await tsbox("rm", "next");
});

test.run();
