/** `tsbox run host`: the machine's own root, and the machine untouched. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

const run = (...args: string[]) => box.tsbox("run", "--rm", "host", ...args);

test("the host's programs run", async () => {
  const { code, stdout, stderr } = await run(process.execPath, "-p", "6 * 7");
  assert.equal({ code, stdout, stderr }, { code: 0, stdout: "42\n", stderr: "" });
});

test("what is written stays inside", async () => {
  const { code, stdout } = await run("sh", "-c", "touch /etc/made-by-tsbox-test && ls /etc/made-by-tsbox-test");
  assert.is(code, 0);
  assert.is(stdout, "/etc/made-by-tsbox-test\n");
  assert.not.ok(existsSync("/etc/made-by-tsbox-test"));
});

test("the current directory is kept, and so are its files outside", async () => {
  const dir = join(box.dir, "work");
  mkdirSync(dir);
  writeFileSync(join(dir, "file"), "mine\n");
  const script = "pwd; cat file; echo changed > file; rm -f file; echo new > other; ls";
  const { stdout } = await box.run(["run", "--rm", "host", "sh", "-c", script], { cwd: dir });
  assert.is(stdout, `${dir}\nmine\nother\n`);
  assert.is(readFileSync(join(dir, "file"), "utf8"), "mine\n");
  assert.not.ok(existsSync(join(dir, "other")));
});

test("writes are kept until the container is removed", async () => {
  await box.tsbox("run", "-d", "--name", "kept", "host", "sh", "-c", "echo x > /tmp/kept-inside; exec sleep 600");
  await until(async () => (await box.tsbox("exec", "kept", "cat", "/tmp/kept-inside")).stdout === "x\n");
  assert.not.ok(existsSync("/tmp/kept-inside"));
  assert.is((await box.tsbox("rm", "-f", "kept")).code, 0);
});

test("host processes are not seen, and root inside is not root outside", async () => {
  const { stdout } = await run("sh", "-c", "id -u; ls -d /proc/[0-9]* | wc -l");
  assert.match(stdout, /^0\n[23]\n$/);
  assert.is.not((await run("sh", "-c", "cat /etc/shadow")).code, process.getuid?.() === 0 ? -1 : 0);
});

test("secrets of the environment stay outside, what programs need comes along", async () => {
  const { stdout } = await box.run(["run", "--rm", "host", "env"], { env: { API_TOKEN: "x", LANG: "C.UTF-8" } });
  assert.not.match(stdout, /API_TOKEN/);
  assert.match(stdout, /^LANG=C\.UTF-8$/m);
});

test("-v makes a folder of the host really writable", async () => {
  const dir = join(box.dir, "shared");
  mkdirSync(dir);
  const { stderr } = await box.tsbox(
    "run",
    "--rm",
    "-v",
    `${dir}:${dir}`,
    "host",
    "sh",
    "-c",
    `echo out > ${dir}/file`,
  );
  assert.is(stderr, "");
  assert.is(readFileSync(join(dir, "file"), "utf8"), "out\n");
});

test.run();
