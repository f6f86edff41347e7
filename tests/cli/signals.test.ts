/** Signals to `tsbox run` in the foreground, and what is left when it is killed. */
import type { ChildProcess } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.before(async () => {
  await box.tsbox("run", "--rm", "base", "true");
});
test.after(() => box[Symbol.asyncDispose]());

const TRAP =
  "trap 'echo got TERM; exit 7' TERM; trap 'exit 8' INT; trap 'exit 9' HUP; trap 'exit 10' USR1; echo ready; while :; do sleep 0.05; done";

async function started(...args: string[]): Promise<{ child: ChildProcess; ended: Promise<number> }> {
  const child = box.start(["run", ...args]);
  const ended = new Promise<number>((resolve) =>
    child.on("exit", (code, signal) => resolve(code ?? 128 + (signal ? constants.signals[signal] : 0))),
  );
  await new Promise((resolve) => child.stdout?.once("data", resolve));
  return { child, ended };
}

test("a signal reaches pid 1, which may answer it", async () => {
  for (const [signal, code] of [
    ["SIGTERM", 7],
    ["SIGINT", 8],
    ["SIGHUP", 9],
    ["SIGUSR1", 10],
  ] as const) {
    const { child, ended } = await started("--rm", "base", "sh", "-c", TRAP);
    child.kill(signal);
    assert.is(await ended, code, signal);
  }
});

test("--init forwards signals to the program", async () => {
  const { child, ended } = await started("--rm", "--init", "base", "sh", "-c", TRAP);
  child.kill("SIGTERM");
  assert.is(await ended, 7);
});

test("--init: a program without a handler ends with 128+n", async () => {
  const { child, ended } = await started("--rm", "--init", "base", "sh", "-c", "echo ready; exec sleep 600");
  child.kill("SIGTERM");
  assert.is(await ended, 143);
});

test("a signal that the kernel keeps from pid 1 does not end the container", async () => {
  const { child, ended } = await started("--rm", "base", "sh", "-c", "echo ready; sleep 1; exit 4");
  child.kill("SIGTERM");
  assert.is(await ended, 4);
});

test("SIGKILL of the foreground takes the container with it", async () => {
  const { child, ended } = await started("--rm", "--name", "victim", "base", "sh", "-c", "echo ready; exec sleep 600");
  const pid = (await box.tsbox("inspect", "--format", "{{.State.Pid}}", "victim")).stdout.trim();
  assert.ok(existsSync(`/proc/${pid}`));
  child.kill("SIGKILL");
  assert.is(await ended, 137);
  await until(() => !existsSync(`/proc/${pid}`));
  assert.is((await box.tsbox("ps", "-q")).stdout, "");
  assert.is((await box.tsbox("rm", "victim")).code, 0);
});

test("a detached container ends with its monitor", async () => {
  await box.tsbox("run", "-d", "--name", "kept", "base", "sleep", "600");
  const inspect = async (format: string) => (await box.tsbox("inspect", "--format", format, "kept")).stdout.trim();
  const [pid = "", monitor = ""] = (await inspect("{{.State.Pid}} {{.State.MonitorPid}}")).split(" ");
  assert.ok(existsSync(`/proc/${pid}`) && existsSync(`/proc/${monitor}`));
  process.kill(Number(monitor), "SIGKILL");
  await until(() => !existsSync(`/proc/${monitor}`));
  await until(() => !existsSync(`/proc/${pid}`));
  assert.is(await inspect("{{.State.Status}} {{.State.ExitCode}} {{.State.Reason}}"), "exited 137 lost");
  assert.is((await box.tsbox("wait", "kept")).stdout, "137\n");
  assert.is((await box.tsbox("rm", "kept")).code, 0);
});

test("processes that the program left behind end with it", async () => {
  // so long sleeps nobody else on the machine
  const left = `sleep ${100_000 + process.pid}`;
  const { stdout } = await box.tsbox("run", "--rm", "base", "sh", "-c", `${left} & echo left`);
  assert.is(stdout, "left\n");
  await until(async () => !(await box.program("ps", ["-eo", "args"])).stdout.includes(`${left}\n`));
});

test("nothing is left after all that", async () => {
  assert.equal(readdirSync(join(box.env.TSBOX_ROOT ?? "", "containers")), []);
  const mounts = (await box.program("cat", ["/proc/self/mounts"])).stdout;
  assert.not.ok(mounts.includes(box.dir));
});

test.run();
