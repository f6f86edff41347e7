/** What `run` makes of the program: its words, environment, directory, streams and exit status. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TSBOX, workspace } from "../support/tsbox.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

const run = (...args: string[]) => box.tsbox("run", "--rm", ...args);
const sh = (script: string, ...flags: string[]) => run(...flags, "base", "sh", "-c", script);

test("a program prints to its own stream and nothing is added", async () => {
  assert.equal(await sh("echo out; echo err >&2"), { code: 0, stdout: "out\n", stderr: "err\n" });
});

test("flags after the image belong to the command", async () => {
  const { stdout } = await run("base", "echo", "--rm", "-e", "A=1", "--", "-it");
  assert.is(stdout, "--rm -e A=1 -- -it\n");
});

test("words reach the program as they are, empty and with newlines and other bytes", async () => {
  const { stdout } = await run("base", "printf", "[%s]", "", "a b", "two\nlines", "ünï", "$HOME");
  assert.is(stdout, "[][a b][two\nlines][ünï][$HOME]");
});

test("the exit status is the program's own", async () => {
  for (const code of [0, 1, 42, 125, 255]) assert.is((await sh(`exit ${code}`)).code, code);
});

test("a program ended by signal n gives 128+n", async () => {
  assert.is((await sh("kill -9 $$", "--init")).code, 137);
  assert.is((await sh("sh -c 'kill -TERM $$'; exit $?")).code, 143);
});

test("127 says that the program is not there, 126 that it cannot be executed", async () => {
  const missing = await run("base", "no-such-program");
  assert.is(missing.code, 127);
  assert.match(missing.stderr, /Cannot execute "no-such-program".*no such program/);
  const missingPath = await run("base", "/no/such/path");
  assert.is(missingPath.code, 127);
  const plain = await run("base", "/etc/passwd");
  assert.is(plain.code, 126);
  assert.match(plain.stderr, /permission denied/);
  assert.is((await run("base", "/etc")).code, 126);
});

test("125 says that tsbox failed before the program ran", async () => {
  const { code, stderr, stdout } = await run("--no-such-flag", "base", "true");
  assert.is(code, 125);
  assert.is(stdout, "");
  assert.match(stderr, /no-such-flag/);
});

test("-e sets, takes from the host, and removes", async () => {
  const env = { FROM_HOST: "yes" };
  const { stdout } = await box.run(
    ["run", "--rm", "-e", "A=1", "-e", "A=2", "-e", "E=", "-e", "FROM_HOST", "-e", "NOT_THERE", "base", "env"],
    { env },
  );
  const lines = stdout.split("\n");
  assert.ok(lines.includes("A=2"));
  assert.ok(lines.includes("E="));
  assert.ok(lines.includes("FROM_HOST=yes"));
  assert.not.match(stdout, /NOT_THERE|A=1/);
});

test("the host's environment stays outside", async () => {
  const { stdout } = await box.run(["run", "--rm", "base", "env"], { env: { SECRET_OF_MINE: "x" } });
  assert.not.match(stdout, /SECRET_OF_MINE/);
  assert.match(stdout, /^PATH=\/usr\/local\/sbin:/m);
  assert.match(stdout, /^HOME=\/root$/m);
  assert.match(stdout, /^HOSTNAME=[0-9a-f]{12}$/m);
});

test("--env-file reads variables, comments left out, -e wins", async () => {
  const file = join(box.dir, "vars");
  writeFileSync(file, "# comment\n\nA=from file\nB=b=c\nHOSTVAR\n");
  const { stdout } = await box.run(["run", "--rm", "--env-file", file, "-e", "A=flag", "base", "env"], {
    env: { HOSTVAR: "here" },
  });
  const lines = stdout.split("\n");
  for (const line of ["A=flag", "B=b=c", "HOSTVAR=here"]) assert.ok(lines.includes(line), line);
  assert.not.match(stdout, /comment/);
});

test("an --env-file that is missing is refused with 125", async () => {
  const { code, stderr } = await run("--env-file", "/no/such", "base", "true");
  assert.is(code, 125);
  assert.match(stderr, /Cannot read "\/no\/such": it does not exist/);
});

test("-w chooses the working directory and makes it", async () => {
  assert.is((await run("-w", "/tmp", "base", "pwd")).stdout, "/tmp\n");
  assert.is((await run("-w", "/made/for/this", "base", "pwd")).stdout, "/made/for/this\n");
});

test("a working directory that is a file is refused", async () => {
  const { code, stderr } = await run("-w", "/etc/passwd", "base", "pwd");
  assert.ok([125, 126, 127].includes(code), String(code));
  assert.match(stderr, /Cannot enter working directory "\/etc\/passwd"/);
});

test("--entrypoint replaces the image's, and drops its command", async () => {
  assert.is((await run("--entrypoint", "echo", "base", "a", "b")).stdout, "a b\n");
  assert.is((await run("--entrypoint", "echo", "base")).stdout, "\n");
});

test("an empty --entrypoint removes the image's", async () => {
  assert.is((await run("--entrypoint", "", "base", "echo", "hi")).stdout, "hi\n");
  const { code, stderr } = await run("--entrypoint", "", "base");
  assert.is(code, 125);
  assert.match(stderr, /no command/);
});

test("without -i the program reads end-of-file", async () => {
  assert.is((await box.run(["run", "--rm", "base", "cat"], { input: "unread" })).stdout, "");
});

test("-i passes several megabytes of standard input, every byte", async () => {
  const input = Buffer.alloc(6 << 20);
  for (let i = 0; i < input.length; i++) input[i] = (i * 31 + (i >> 8)) & 255;
  const outside = await box.program("md5sum", [], { input });
  const inside = await box.run(["run", "--rm", "-i", "base", "md5sum"], { input });
  assert.is(inside.code, 0);
  assert.is(inside.stdout, outside.stdout);
});

test("ten megabytes of output arrive whole, on both streams at a time", async () => {
  const script = "head -c 5000000 /dev/zero | tr '\\0' e >&2 & head -c 10000000 /dev/zero | tr '\\0' o; wait";
  const { code, stdout, stderr } = await sh(script);
  assert.is(code, 0);
  assert.is(stdout.length, 10_000_000);
  assert.is(stderr.length, 5_000_000);
  assert.match(stdout, /^o+$/);
  assert.match(stderr, /^e+$/);
});

test("output without a last newline stays so", async () => {
  assert.is((await run("base", "printf", "no newline")).stdout, "no newline");
});

test("a reader that goes away does not hang the container", async () => {
  const { code } = await box.program("sh", ["-c", `"$0" run --rm base yes | head -n 1`, TSBOX]);
  assert.is(code, 0);
});

test("the program is pid 1 of a pid namespace of its own", async () => {
  assert.is((await sh("echo $$")).stdout, "1\n");
  const { stdout } = await run("base", "ps");
  assert.is(stdout.trim().split("\n").length, 2);
});

test("--init reaps orphans and passes the status on", async () => {
  const script =
    "for i in 1 2 3; do sh -c 'sleep 0.1 & exit' ; done; sleep 0.6; n=0; while ps -o stat | grep -q Z && [ $((n+=1)) -lt 100 ]; do sleep 0.1; done; ps -o stat | grep -c Z; exit 7";
  const { code, stdout } = await sh(script, "--init");
  assert.is(stdout, "0\n");
  assert.is(code, 7);
});

test("--timeout ends the program by SIGKILL", async () => {
  assert.is((await run("--timeout", "0.5s", "base", "sleep", "60")).code, 137);
});

test.run();
