/** What is said when something is wrong: one sentence, a hint, never a stack. And the verbs that describe. */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TSBOX, workspace } from "../support/tsbox.ts";

const box = workspace();
test.before(async () => {
  await box.tsbox("run", "--rm", "base", "true");
});
test.after(() => box[Symbol.asyncDispose]());

test("an unknown verb suggests the nearest", async () => {
  const { code, stderr } = await box.tsbox("runn", "base");
  assert.is.not(code, 0);
  assert.match(stderr, /"runn"[\s\S]*run/);
});

test("an unknown flag suggests the nearest", async () => {
  const { code, stderr } = await box.tsbox("run", "--hostnam", "x", "base", "true");
  assert.is(code, 125);
  assert.match(stderr, /--hostname/);
  assert.match((await box.tsbox("ps", "--al")).stderr, /--all/);
});

test("a package that is taken away while it runs ends in an error", () => {
  const folder = mkdtempSync(join(tmpdir(), "tsbox-test-"));
  try {
    cpSync(dirname(TSBOX), folder, { recursive: true });
    rmSync(join(folder, "main.cjs"));
    // what prints errors is not there either: its own fault must not be reported like others, for ever
    const { status, stderr } = spawnSync(join(folder, "tsbox"), ["run", "UPPER CASE"], {
      encoding: "utf8",
      timeout: 20_000,
      killSignal: "SIGKILL",
    });
    assert.is(status, 125);
    assert.match(stderr, /^tsbox: Cannot /);
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test("no error prints a stack, and --debug does", async () => {
  const wrong = [
    ["run", "--nope"],
    ["run"],
    ["run", "-v", "rel", "base"],
    ["run", "--userns", "x", "base"],
    ["run", "UPPER CASE"],
    ["exec", "nobody", "true"],
    ["exec"],
    ["logs"],
    ["inspect", "x"],
    ["inspect", "--format", "{{.A", "x"],
    ["stop", "x"],
    ["wait", "x"],
    ["kill", "x"],
    ["rm", "x"],
    ["ps", "--filter", "bogus=1"],
    ["run", "--memory", "1g", "base"],
  ];
  for (const args of wrong) {
    const { code, stderr, stdout } = await box.tsbox(...args);
    assert.is.not(code, 0, args.join(" "));
    // docker's inspect prints the empty list
    assert.ok(["", "[]\n"].includes(stdout), args.join(" "));
    assert.match(stderr, /^tsbox: Cannot /, args.join(" "));
    assert.not.match(stderr, /^\s+at /m, args.join(" "));
  }
  assert.match((await box.tsbox("--debug", "inspect", "x")).stderr, /^\s+at /m);
});

test("control characters of names are made visible", async () => {
  const { stderr } = await box.tsbox("inspect", "evil\u001b[31mname");
  assert.not.ok(stderr.includes("\u001b"));
});

test("a script without an interpreter and a program of another machine are told apart", async () => {
  const dir = join(box.dir, "programs");
  mkdirSync(dir);
  const make = (name: string, content: string | Uint8Array) => {
    writeFileSync(join(dir, name), content);
    chmodSync(join(dir, name), 0o755);
  };
  make("script", "#!/no/such/interpreter\n");
  make("other", Buffer.concat([Buffer.from("\x7fELF\x02\x01\x01"), Buffer.alloc(200)]));
  const run = (name: string) => box.tsbox("run", "--rm", "-v", `${dir}:/p`, "base", `/p/${name}`);
  assert.match((await run("script")).stderr, /its interpreter or loader is not/);
  assert.match((await run("other")).stderr, /exec format error/);
  assert.is((await run("other")).code, 126);
});

test("help, of tsbox and of each verb, goes to stdout with status 0", async () => {
  assert.match((await box.tsbox("--help")).stdout, /run/);
  for (const verb of [
    "run",
    "exec",
    "ps",
    "logs",
    "stop",
    "kill",
    "rm",
    "wait",
    "inspect",
    "unshare",
    "info",
    "version",
    "doctor",
  ]) {
    const { code, stdout, stderr } = await box.tsbox(verb, "--help");
    assert.is(code, 0, verb);
    assert.is(stderr, "", verb);
    assert.match(stdout, new RegExp(`tsbox ${verb}`));
  }
});

test("unshare runs a program as root of the ids that containers have", async () => {
  assert.is((await box.tsbox("unshare", "id", "-u")).stdout, "0\n");
  assert.is((await box.tsbox("unshare", "sh", "-c", "exit 9")).code, 9);
  assert.is((await box.tsbox("unshare", "no-such-program")).code, 127);
});

test("version and info answer, also as JSON", async () => {
  assert.match((await box.tsbox("version")).stdout, /\d+\.\d+\.\d+/);
  assert.ok(JSON.parse((await box.tsbox("version", "--format", "json")).stdout));
  assert.is((await box.tsbox("info")).code, 0);
  assert.ok(JSON.parse((await box.tsbox("info", "--format", "json")).stdout));
});

test("doctor lists what this machine allows, also as JSON", async () => {
  const { code, stdout } = await box.tsbox("doctor");
  assert.is(code, 0, stdout);
  assert.match(stdout, /user-namespace/);
  const checks = JSON.parse((await box.tsbox("doctor", "--json")).stdout);
  assert.ok(Array.isArray(checks) ? checks.length > 5 : Object.keys(checks).length > 0);
});

test("without XDG_RUNTIME_DIR, and with any umask, it runs the same", async () => {
  const script = 'umask 077; exec "$0" run --rm -u 1000 base sh -c "cat /etc/hosts; ls / | head -n 1"';
  const { code, stdout, stderr } = await box.program("env", ["-u", "XDG_RUNTIME_DIR", "sh", "-c", script, TSBOX]);
  assert.is(stderr, "");
  assert.is(code, 0);
  assert.match(stdout, /localhost[\s\S]*bin\n$/);
});

test("in a folder that was removed it runs the same, and unpacks what is not there yet", async () => {
  await using fresh = workspace();
  const script = 'mkdir gone; cd gone; rmdir ../gone; exec "$0" run --rm base pwd';
  const { code, stdout, stderr } = await fresh.program("sh", ["-c", script, TSBOX], { cwd: fresh.dir });
  assert.is(code, 0, stderr);
  assert.is(stdout, "/\n");
});

test("the store is where TSBOX_ROOT or --root say", async () => {
  const other = join(box.dir, "other-store");
  assert.is((await box.tsbox("--root", other, "run", "--name", "here", "base", "true")).code, 0);
  assert.match((await box.tsbox("ps", "-a", "--root", other)).stdout, /here/);
  assert.not.match((await box.tsbox("ps", "-a")).stdout, /here/);
});

test.run();
