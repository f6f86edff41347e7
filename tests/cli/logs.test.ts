/** What a container printed, kept and shown again. */
import { execFileSync } from "node:child_process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TSBOX, workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.before(async () => {
  await box.tsbox(
    "run",
    "--name",
    "five",
    "base",
    "sh",
    "-c",
    "for i in 1 2 3 4 5; do echo line $i; done; echo bad >&2",
  );
});
test.after(() => box[Symbol.asyncDispose]());

const logs = (...args: string[]) => box.tsbox("logs", ...args);

test("logs shows both streams on their own", async () => {
  assert.equal(await logs("five"), { code: 0, stdout: "line 1\nline 2\nline 3\nline 4\nline 5\n", stderr: "bad\n" });
});

test("--tail shows the last lines of both together", async () => {
  assert.equal(await logs("--tail", "2", "five"), { code: 0, stdout: "line 5\n", stderr: "bad\n" });
  assert.is((await logs("-n", "0", "five")).stdout, "");
  assert.is((await logs("--tail", "all", "five")).stdout.split("\n").length, 6);
  assert.is((await logs("--tail", "99", "five")).stdout.split("\n").length, 6);
});

test("-t puts the time before every line", async () => {
  for (const line of (await logs("-t", "five")).stdout.trim().split("\n"))
    assert.match(line, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z line \d$/);
});

test("--since and --until leave lines out", async () => {
  assert.is((await logs("--since", "1h", "five")).stdout.split("\n").length, 6);
  assert.is((await logs("--since", "2099-01-01T00:00:00Z", "five")).stdout, "");
  assert.is((await logs("--until", "2000-01-01", "five")).stdout, "");
});

test("a line without a newline is shown without one", async () => {
  await box.tsbox("run", "--name", "partial", "base", "printf", "one\\ntwo");
  assert.is((await logs("partial")).stdout, "one\ntwo");
  assert.match((await logs("-t", "--tail", "1", "partial")).stdout, /^\S+Z two$/);
});

test("a very long line is one line again", async () => {
  await box.tsbox("run", "--name", "long", "base", "sh", "-c", "head -c 300000 /dev/zero | tr '\\0' x; echo; echo end");
  assert.is((await logs("long")).stdout, `${"x".repeat(300000)}\nend\n`);
  assert.is((await logs("-t", "long")).stdout.split("\n").length, 3);
  assert.is((await logs("--tail", "1", "long")).stdout, "end\n");
});

test("every byte comes back as it was printed", async () => {
  const script = 'i=0; while [ $i -lt 256 ]; do printf "\\\\$(printf %03o $i)"; i=$((i+1)); done';
  await box.tsbox("run", "--name", "bytes", "base", "sh", "-c", script);
  const shown = execFileSync(TSBOX, ["logs", "bytes"], { env: box.env });
  assert.equal(
    [...shown],
    Array.from({ length: 256 }, (_, byte) => byte),
  );
});

test("lines end with carriage returns where the program printed them", async () => {
  await box.tsbox("run", "--name", "crlf", "base", "printf", "a\\r\\nb\\rc\\n");
  assert.is((await logs("crlf")).stdout, "a\r\nb\rc\n");
});

test("-f goes on until the container ends", async () => {
  await box.tsbox("run", "-d", "--name", "slow", "base", "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.3; done");
  assert.equal(await logs("-f", "slow"), { code: 0, stdout: "1\n2\n3\n", stderr: "" });
});

test("-f shows a line that is not finished yet", async () => {
  await box.tsbox("run", "-d", "--name", "prompt", "base", "sh", "-c", "printf 'ready> '; sleep 600");
  const child = box.start(["logs", "-f", "prompt"]);
  const text = await new Promise((resolve) => child.stdout?.once("data", (data) => resolve(String(data))));
  assert.is(text, "ready> ");
  await box.tsbox("rm", "-f", "prompt");
});

test("-f ends by Ctrl-C and leaves the container alone", async () => {
  await box.tsbox("run", "-d", "--name", "endless", "base", "sh", "-c", "echo on; sleep 600");
  const child = box.start(["logs", "-f", "endless"]);
  const ended = new Promise((resolve) => child.on("exit", (code, signal) => resolve(code ?? signal)));
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  child.kill("SIGINT");
  assert.ok([130, "SIGINT"].includes((await ended) as number));
  assert.match((await box.tsbox("ps")).stdout, /endless/);
});

test("logs of a container that is not there fail with 1", async () => {
  const { code, stderr } = await logs("nobody");
  assert.is(code, 1);
  assert.match(stderr, /Cannot find container "nobody"/);
});

test("a log of several files is read in order, and followed while it begins others", async () => {
  const script =
    "for i in $(seq 1 300); do echo line $i; done; sleep 1; for i in $(seq 301 400); do echo line $i; sleep 0.005; done";
  await box.tsbox(
    "run",
    "-d",
    "--name",
    "turns",
    "--log-opt",
    "max-size=2k",
    "--log-opt",
    "max-file=4",
    "base",
    "sh",
    "-c",
    script,
  );
  // a reader that comes while so much is written at once finds some of it gone already
  await until(async () => (await box.tsbox("logs", "turns")).stdout.includes("line 300\n"));
  const { stdout } = await box.tsbox("logs", "-f", "turns");
  const numbers = stdout
    .trim()
    .split("\n")
    .map((line) => Number(line.slice(5)));
  assert.is(numbers.at(-1), 400);
  assert.equal(
    numbers,
    numbers.map((_, i) => (numbers[0] ?? 0) + i),
  );
  const kept = (await box.tsbox("logs", "turns")).stdout.trim().split("\n");
  assert.ok(kept.length > 40 && kept.length < 400);
  assert.is(kept.at(-1), "line 400");
  assert.is((await box.tsbox("logs", "--tail", "2", "turns")).stdout, "line 399\nline 400\n");
});

test("logs of several containers, with names; none where the driver keeps none", async () => {
  await box.tsbox("run", "--name", "one1", "base", "echo", "first");
  await box.tsbox("run", "--name", "two2", "base", "echo", "second");
  assert.is((await box.tsbox("logs", "--names", "one1", "two2")).stdout, "one1 first\ntwo2 second\n");
  assert.is(
    (await box.tsbox("run", "--name", "mute", "--log-driver", "none", "base", "echo", "said")).stdout,
    "said\n",
  );
  assert.match((await box.tsbox("logs", "mute")).stderr, /log driver is "none"/);
  assert.is(
    (await box.tsbox("run", "--rm", "--log-driver", "passthrough", "base", "echo", "through")).stdout,
    "through\n",
  );
});

test.run();
