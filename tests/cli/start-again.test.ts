/** create, start, restart, rename, restart policies: a container has more than one life. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());
const tsbox = (...args: string[]) => box.tsbox(...args);
const field = async (name: string, format: string) => (await tsbox("inspect", "--format", format, name)).stdout.trim();
const state = (name: string) => field(name, "{{.State.Status}} {{.State.ExitCode}} {{.RestartCount}}");
const logs = async (name: string) => (await tsbox("logs", name)).stdout;

test("create makes, start starts; files, id, name and host name stay over a second start", async () => {
  const { stdout } = await tsbox(
    "create",
    "--name",
    "one",
    "base",
    "sh",
    "-c",
    "hostname; cat /kept 2>/dev/null; echo x >>/kept; exit 3",
  );
  assert.match(stdout, /^[0-9a-f]{64}\n$/);
  assert.is(await state("one"), "created 0 0");
  assert.equal(await tsbox("start", "one"), { code: 0, stdout: "one\n", stderr: "" });
  assert.is((await tsbox("wait", "one")).stdout, "3\n");
  const again = await tsbox("start", "-a", "one");
  assert.is(again.code, 3);
  assert.is(again.stdout, `${stdout.slice(0, 12)}\nx\n`);
  assert.is(await logs("one"), `${`${stdout.slice(0, 12)}\n`.repeat(2)}x\n`);
});

test("start of several goes on after a failure, and says why a program cannot start", async () => {
  await tsbox("create", "--name", "bad", "base", "no-such");
  await tsbox("create", "--name", "good", "base", "sleep", "600");
  const { code, stdout, stderr } = await tsbox("start", "bad", "good", "not-there");
  assert.is(code, 1);
  assert.is(stdout, "good\n");
  assert.match(stderr, /Cannot execute "no-such"/);
  assert.match(stderr, /not-there/);
  assert.is(await field("bad", "{{.State.Status}} {{.State.ExitCode}}"), "created 127");
  assert.is((await tsbox("start", "good")).code, 0);
});

test("restart gives a new process in the same container", async () => {
  const before = await field("good", "{{.Id}} {{.State.Pid}}");
  assert.equal(await tsbox("restart", "-t", "0", "good"), { code: 0, stdout: "good\n", stderr: "" });
  const after = await field("good", "{{.Id}} {{.State.Pid}}");
  assert.is(after.split(" ")[0], before.split(" ")[0]);
  assert.is.not(after, before);
  await tsbox("rm", "-f", "good");
});

test("restart of a container with --rm keeps it, a stop removes it", async () => {
  await tsbox("run", "-d", "--rm", "--name", "brief", "base", "sh", "-c", "echo x >/f; echo life; exec sleep 600");
  await until(async () => (await logs("brief")) === "life\n");
  assert.is((await tsbox("restart", "-t", "0", "brief")).code, 0);
  await until(async () => (await logs("brief")) === "life\nlife\n");
  assert.is((await tsbox("exec", "brief", "cat", "/f")).stdout, "x\n");
  assert.is((await tsbox("stop", "-t", "0", "brief")).code, 0);
  assert.is((await tsbox("inspect", "brief")).code, 1);
});

test("rename frees the old name, also of a container that removes itself", async () => {
  await tsbox("run", "-d", "--rm", "--name", "old", "base", "sleep", "600");
  assert.is((await tsbox("rename", "old", "new")).code, 0);
  assert.is((await tsbox("create", "--name", "old", "base", "true")).code, 0);
  assert.is((await tsbox("rename", "new", "old")).code, 1);
  await tsbox("stop", "-t", "0", "new");
  const names = join(box.env.TSBOX_ROOT ?? "", "names");
  await until(() => Promise.resolve(!readdirSync(names).includes("new")));
  assert.is(await field("old", "{{.Name}}"), "/old");
});

test("--replace takes the place of a container of that name", async () => {
  const id = await field("old", "{{.Id}}");
  const { stdout } = await tsbox("create", "--replace", "--name", "old", "base", "true");
  assert.is.not(stdout.trim(), id);
  assert.is((await tsbox("inspect", id)).code, 1);
  assert.is((await tsbox("run", "--replace", "--name", "old", "base", "echo", "hi")).stdout, "hi\n");
});

test("on-failure:N starts again N times, and not after success", async () => {
  await tsbox("run", "-d", "--name", "fails", "--restart", "on-failure:2", "base", "sh", "-c", "echo run; exit 4");
  await until(async () => (await state("fails")) === "exited 4 2");
  assert.is(await logs("fails"), "run\nrun\nrun\n");
  await tsbox("run", "-d", "--name", "succeeds", "--restart", "on-failure", "base", "true");
  await until(async () => (await state("succeeds")) === "exited 0 0");
  assert.is((await tsbox("start", "fails")).code, 0);
  await until(async () => (await state("fails")) === "exited 4 2" && (await logs("fails")).length === 24);
});

test("always starts again until it is stopped, killed or removed, also while it waits", async () => {
  for (const end of [["stop"], ["rm", "-f"]]) {
    await tsbox("run", "-d", "--name", "ever", "--restart", "always", "base", "sh", "-c", "echo run");
    await until(async () => Number(await field("ever", "{{.RestartCount}}")) > 2);
    const monitor = Number(await field("ever", "{{.State.MonitorPid}}"));
    assert.is((await tsbox(...end, "ever")).code, 0);
    if (end[0] === "stop") {
      assert.match(await state("ever"), /^exited 0/);
      await tsbox("rm", "ever");
    }
    if (monitor > 0) await until(() => Promise.resolve(!existsSync(`/proc/${monitor}`)));
  }
  await tsbox("run", "-d", "--name", "up", "--restart", "unless-stopped", "base", "sleep", "600");
  await tsbox("kill", "up");
  await until(async () => (await state("up")) === "exited 137 0");
});

test("a killed process is started again by the policy", async () => {
  await tsbox("run", "-d", "--name", "again", "--restart", "always", "base", "sleep", "600");
  const pid = Number(await field("again", "{{.State.Pid}}"));
  process.kill(pid, "SIGKILL");
  await until(async () => /^running 0 1$/.test(await state("again")));
  assert.is.not(Number(await field("again", "{{.State.Pid}}")), pid);
  await tsbox("rm", "-f", "again");
});

test("SIGKILL to a detached monitor takes the container along, and inspect says that it was lost", async () => {
  await tsbox("run", "-d", "--name", "orphan", "base", "sleep", "600");
  const [pid, monitor] = (await field("orphan", "{{.State.Pid}} {{.State.MonitorPid}}")).split(" ").map(Number);
  process.kill(monitor ?? 0, "SIGKILL");
  await until(() => Promise.resolve(!isThere(pid ?? 0)));
  assert.is(await field("orphan", "{{.State.Status}} {{.State.ExitCode}} {{.State.Reason}}"), "exited 137 lost");
  assert.is((await tsbox("start", "orphan")).code, 0);
  assert.is(await field("orphan", "{{.State.Status}}"), "running");
});

function isThere(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

test("--rm and --restart exclude each other", async () => {
  const { code, stderr } = await tsbox("run", "--rm", "--restart", "always", "base", "true");
  assert.is(code, 125);
  assert.match(stderr, /--rm/);
});

test.run();
