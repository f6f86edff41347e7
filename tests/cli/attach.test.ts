/** attach: clients of a running container, without a terminal. */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TSBOX, workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());
const tsbox = (...args: string[]) => box.tsbox(...args);

/** Starts a client and collects what it shows. */
function attach(...args: string[]) {
  const child = box.start(["attach", ...args]);
  const shown = { out: "", err: "" };
  child.stdout?.on("data", (data) => {
    shown.out += data;
  });
  child.stderr?.on("data", (data) => {
    shown.err += data;
  });
  /** Node has made way for the client itself, which takes signals: one that comes before ends it. */
  const ready = until(() => {
    const status = readFileSync(`/proc/${child.pid}/status`, "utf8");
    const blocked = BigInt(`0x${/^SigBlk:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
    return /^Name:\s*tsbox-helper$/m.test(status) && (blocked & (1n << BigInt(constants.signals.SIGINT - 1))) !== 0n;
  });
  return { child, shown, ready, ended: once(child, "close") };
}

test("several clients type and see the output from now on; the exit status is theirs", async () => {
  await tsbox(
    "run",
    "-di",
    "--name",
    "echo",
    "base",
    "sh",
    "-c",
    'while read x; do echo "got $x"; echo "e $x" >&2; [ $x != end ] || exit 5; done',
  );
  await tsbox("exec", "echo", "true");
  const one = attach("echo");
  const two = attach("echo");
  one.child.stdin?.write("first\n");
  await until(() => Promise.resolve(one.shown.out === "got first\n"));
  two.child.stdin?.write("second\n");
  await until(() => Promise.resolve(/got second\n$/.test(two.shown.out) && /got second\n$/.test(one.shown.out)));
  two.child.stdin?.end();
  one.child.stdin?.write("end\n");
  assert.equal((await one.ended)[0], 5);
  assert.equal((await two.ended)[0], 5);
  assert.match(one.shown.err, /^e first\ne second\ne end\n$/);
  assert.match((await tsbox("logs", "echo")).stdout, /^got first\ngot second\ngot end\n$/);
});

test("signals go to the program unless --sig-proxy=false", async () => {
  await tsbox(
    "run",
    "-d",
    "--name",
    "trap",
    "base",
    "sh",
    "-c",
    "trap 'echo caught' INT; while :; do sleep 0.05; done",
  );
  const deaf = attach("--sig-proxy=false", "trap");
  const client = attach("--no-stdin", "trap");
  await Promise.all([deaf.ready, client.ready]);
  await until(async () => {
    client.child.kill("SIGINT");
    return client.shown.out.startsWith("caught\n");
  });
  deaf.child.kill("SIGINT");
  assert.equal((await deaf.ended)[0], 130);
  assert.is(client.child.exitCode, null);
  client.child.kill("SIGKILL");
  await client.ended;
  assert.is((await tsbox("inspect", "--format", "{{.State.Status}}", "trap")).stdout, "running\n");
});

test("a client that does not read holds up nobody, and is told what it missed", async () => {
  await tsbox(
    "run",
    "-di",
    "--name",
    "loud",
    "base",
    "sh",
    "-c",
    "read x; yes 0123456789 | head -c 8000000; echo done >&2; read x",
  );
  const stuck = attach("loud");
  await stuck.ready;
  stuck.child.stdout?.pause();
  stuck.child.stdin?.write("go\n");
  // the two streams have pipes of their own: which comes first into the log is not said
  await until(async () => (await tsbox("logs", "loud")).stderr === "done\n");
  stuck.child.kill("SIGKILL");
  await stuck.ended;
  assert.is((await tsbox("inspect", "--format", "{{.State.Status}}", "loud")).stdout, "running\n");
});

test("attach refuses what does not run", async () => {
  await tsbox("create", "--name", "made", "base", "true");
  const { code, stderr } = await tsbox("attach", "made");
  assert.is(code, 1);
  assert.match(stderr, /Cannot attach to container "made": state is "created"/);
});

test("a store whose path is longer than a socket's address may be works", async () => {
  const root = `${box.dir}/${"deep/".repeat(40)}store`;
  const env = { TSBOX_ROOT: root };
  assert.is((await box.run(["run", "-di", "--name", "far", "base", "sh", "-c", "read x; exit $x"], { env })).code, 0);
  assert.is((await box.run(["attach", "far"], { env, input: "7\n" })).code, 7);
  await box.run(["rm", "-f", "far"], { env });
});

test("a program that ends without reading what is typed gives its status all the same", async () => {
  for (let attempt = 0; attempt < 6; attempt++) {
    const typing = 'yes | "$0" run --rm -i -a stdin -a stdout base sh -c "exit 3"';
    const { code, stderr } = await box.program("sh", ["-c", typing, TSBOX]);
    assert.is(code, 3, stderr);
  }
});

test.run();
