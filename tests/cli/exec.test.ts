/** One more program in a running container. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.before(async () => {
  const { stderr } = await box.tsbox(
    "run",
    "-d",
    "--init",
    "--name",
    "web",
    "-e",
    "FROM_RUN=1",
    "-w",
    "/tmp",
    "base",
    "sleep",
    "600",
  );
  assert.is(stderr, "");
});
test.after(() => box[Symbol.asyncDispose]());

const exec = (...args: string[]) => box.tsbox("exec", ...args);

test("exec runs beside the container's program and gives its status", async () => {
  assert.equal(await exec("web", "sh", "-c", "echo out; echo err >&2; exit 3"), {
    code: 3,
    stdout: "out\n",
    stderr: "err\n",
  });
  assert.match((await exec("web", "ps")).stdout, /sleep 600/);
});

test("flags after the container belong to the command", async () => {
  assert.is((await exec("web", "echo", "-i", "--user", "x")).stdout, "-i --user x\n");
});

test("exec has the container's environment and directory, and -e and -w change them", async () => {
  assert.is((await exec("web", "sh", "-c", "echo $FROM_RUN; pwd")).stdout, "1\n/tmp\n");
  assert.is(
    (await exec("-e", "FROM_RUN=2", "-w", "/etc", "web", "sh", "-c", "echo $FROM_RUN; pwd")).stdout,
    "2\n/etc\n",
  );
});

test("--env-file is read for exec, too", async () => {
  const file = join(box.dir, "vars");
  writeFileSync(file, "FILED=yes\n");
  assert.is((await exec("--env-file", file, "web", "sh", "-c", "echo $FILED")).stdout, "yes\n");
});

need("subids", test)("exec -u takes numbers and names", async () => {
  assert.is((await exec("-u", "1234:55", "web", "sh", "-c", "id -u; id -g")).stdout, "1234\n55\n");
  assert.match((await exec("-u", "nobody", "web", "id")).stdout, /^uid=65534\(nobody\)/);
  const { code, stderr } = await exec("-u", "stranger", "web", "id");
  assert.is(code, 126);
  assert.match(stderr, /stranger/);
});

test("exec holds the same capabilities, filter and namespaces as the container", async () => {
  const asked = (pid: string) =>
    `grep -E 'Cap|NoNewPrivs|Seccomp:' /proc/${pid}/status; for n in mnt net ipc uts pid user cgroup; do readlink /proc/${pid}/ns/$n; done`;
  await box.tsbox("run", "-d", "--name", "plain", "base", "sleep", "600");
  const inside = (await exec("plain", "sh", "-c", asked("self"))).stdout;
  assert.match(inside, /CapEff:\t00000000a80425fb[\s\S]*Seccomp:\t2/);
  assert.is(inside, (await exec("plain", "sh", "-c", asked("1"))).stdout);
});

test("without -i exec reads end-of-file; with it every byte", async () => {
  const input = Buffer.alloc(3 << 20, "tsbox\n");
  assert.is((await box.run(["exec", "web", "wc", "-c"], { input })).stdout, "0\n");
  assert.is((await box.run(["exec", "-i", "web", "wc", "-c"], { input })).stdout, `${input.length}\n`);
});

test("ten megabytes of output arrive whole", async () => {
  const { stdout } = await exec("web", "sh", "-c", "head -c 10000000 /dev/zero | tr '\\0' x");
  assert.is(stdout.length, 10_000_000);
});

test("127 and 126 as for run", async () => {
  const { code, stderr } = await exec("web", "no-such-program");
  assert.is(code, 127);
  assert.match(stderr, /Cannot execute "no-such-program"/);
  assert.is((await exec("web", "/etc/passwd")).code, 126);
});

test("a program ended by a signal gives 128+n", async () => {
  assert.is((await exec("web", "sh", "-c", "kill -9 $$")).code, 137);
});

test("-d returns at once and the program goes on", async () => {
  const { code, stdout } = await exec("-d", "web", "sh", "-c", "sleep 0.3; echo done > /tmp/detached");
  assert.is(code, 0);
  assert.is(stdout, "");
  await until(async () => (await exec("web", "cat", "/tmp/detached")).stdout === "done\n");
});

test("a signal to exec reaches its program", async () => {
  const child = box.start(["exec", "web", "sh", "-c", "trap 'exit 9' TERM; echo ready; while :; do sleep 0.05; done"]);
  const ended = new Promise((resolve) => child.on("exit", resolve));
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  child.kill("SIGTERM");
  assert.is(await ended, 9);
});

test("exec -t has a terminal", async () => {
  const { stdout } = await exec("-t", "web", "sh", "-c", "tty; echo $TERM");
  assert.match(stdout, /^\/dev\/pts\/\d+\r\n\S+\r\n$/);
});

test("a container that is not there or has ended is refused", async () => {
  const missing = await exec("nobody-here", "true");
  assert.is(missing.code, 1);
  assert.match(missing.stderr, /Cannot find container "nobody-here"/);
  await box.tsbox("run", "--name", "ended", "base", "true");
  const ended = await exec("ended", "true");
  assert.is(ended.code, 1);
  assert.match(ended.stderr, /Cannot exec in container "ended": state is "exited", expected "running"/);
});

test("exec leaves no file in the container's folder", async () => {
  const id = (await box.tsbox("inspect", "--format", "{{.Id}}", "web")).stdout.trim();
  const { stdout } = await box.program("sh", ["-c", `ls ${box.env.TSBOX_ROOT}/containers/${id}/exec | wc -l`]);
  assert.is(stdout.trim(), "0");
});

test("the container ends with its execs", async () => {
  const child = box.start(["exec", "web", "sleep", "600"]);
  const ended = new Promise((resolve) => child.on("exit", resolve));
  await until(async () => (await exec("web", "ps")).stdout.split("sleep 600").length > 2);
  await box.tsbox("rm", "-f", "web");
  assert.is(await ended, 137);
});

test.run();
