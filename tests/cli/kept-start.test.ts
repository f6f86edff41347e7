/** The launcher: what was run before is run again without Node, unless anything that it depends on is another. */
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { type Result, TSBOX, workspace } from "../support/tsbox.ts";

// the first names the others' owner: a start with one id only warns, and is not kept
const able = need(["user-namespace", "not-root", "subids"], test);
const box = workspace();
const bin = join(box.dir, "bin");
const starts = join(box.dir, "starts");
const kept = join(box.dir, "store", "kept");
const env = { PATH: `${bin}:${process.env.PATH}` };
test.before(() => {
  mkdirSync(bin);
  // tells of each start of Node
  writeFileSync(join(bin, "node"), `#!/bin/sh\necho started >> ${starts}\nexec ${process.execPath} "$@"\n`);
  chmodSync(join(bin, "node"), 0o755);
});
test.after(() => box[Symbol.asyncDispose]());

interface Options {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
}

async function run(args: string[], options: Options = {}): Promise<Result & { node: boolean }> {
  writeFileSync(starts, "");
  const result = await box.run(["run", ...args], { ...options, env: { ...env, ...options.env } });
  return { ...result, node: readFileSync(starts, "utf8") !== "" };
}

/** Runs until it is kept, which the first run may have changed too much for: it makes the store. */
async function keep(args: string[], options?: Options): Promise<void> {
  for (let attempt = 0; attempt < 3; attempt++) {
    const { code, node, stderr } = await run(args, options);
    assert.is(code, 0, stderr);
    if (!node) return;
  }
  throw new Error(`Cannot go on: "run ${args.join(" ")}" is never kept`);
}

able("the third time at the latest no Node is started, and the output is the same", async () => {
  await keep(["--rm", "base", "sh", "-c", "echo out; echo err >&2; exit 0"]);
  const { code, stdout, stderr, node } = await run(["--rm", "base", "sh", "-c", "echo out; echo err >&2; exit 0"]);
  assert.equal({ code, stdout, stderr, node }, { code: 0, stdout: "out\n", stderr: "err\n", node: false });
});

able("a program's status, its input and a failure to start are passed on as ever", async () => {
  const status = ["--rm", "base", "sh", "-c", "test -e /etc/passwd && exit 7"];
  await run(status);
  assert.equal([(await run(status)).code, (await run(status)).node], [7, false]);
  await run(["--rm", "-i", "base", "cat"]);
  writeFileSync(starts, "");
  const { stdout } = await box.run(["run", "--rm", "-i", "base", "cat"], { input: "typed", env });
  assert.is(stdout, "typed");
  assert.is(readFileSync(starts, "utf8"), "");
  await run(["--rm", "base", "no-such-program"]);
  const missing = await run(["--rm", "base", "no-such-program"]);
  assert.is(missing.code, 127);
  assert.match(missing.stderr, /Cannot execute "no-such-program": no such program/);
});

able("a container that the launcher has made is one as any other", async () => {
  const args = [
    "-d",
    "-e",
    "A=b",
    "--label",
    "x=y",
    "--health-cmd",
    "true",
    "--restart",
    "on-failure:3",
    "base",
    "sleep",
    "90",
  ];
  const ids = [(await run(args)).stdout.trim(), (await run(args)).stdout.trim()];
  const again = await run(args);
  assert.not.ok(again.node);
  ids.push(again.stdout.trim());
  assert.is(new Set(ids).size, 3);
  const seen = await Promise.all(
    [ids[0], ids[2]].map(async (id = "") => {
      const [found] = JSON.parse((await box.tsbox("inspect", id)).stdout);
      assert.match(found.Created, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
      assert.match(found.Name, /^\/[a-z]+_[a-z]+\d*$/);
      assert.is((await box.tsbox("exec", id, "hostname")).stdout.trim(), id.slice(0, 12));
      const text = JSON.stringify(found).replaceAll(id, "ID").replaceAll(id.slice(0, 12), "SHORT");
      return text
        .replaceAll(found.Name, "NAME")
        .replaceAll(/"(Pid|MonitorPid)":\d+/g, "")
        .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME")
        .replaceAll(/"Health":\{[^}]*\}[^}]*\}/g, "");
    }),
  );
  assert.is(seen[1], seen[0]);
  const events = (
    await box.tsbox(
      "events",
      "--since",
      "1h",
      "--stream=false",
      "--filter",
      `container=${ids[2]}`,
      "--format",
      "{{.Action}}",
    )
  ).stdout;
  assert.match(events, /^create\nstart\n/);
  assert.is((await box.tsbox("rm", "-f", ...ids)).code, 0);
});

able("nothing is left of --rm, and names are given back", async () => {
  await keep(["--rm", "base", "true"]);
  const names = readdirSync(join(box.dir, "store/names"));
  const containers = readdirSync(join(box.dir, "store/containers"));
  await Promise.all(Array.from({ length: 12 }, () => box.run(["run", "--rm", "base", "true"], { env })));
  assert.equal(readdirSync(join(box.dir, "store/names")), names);
  assert.equal(readdirSync(join(box.dir, "store/containers")), containers);
});

able("a name that is taken is Node's to report, and leaves nothing", async () => {
  const args = ["--name", "mine", "base", "true"];
  for (let round = 0; round < 3; round++) {
    assert.is((await run(args)).code, 0);
    if (round < 2) await box.tsbox("rm", "mine");
  }
  const before = readdirSync(join(box.dir, "store/containers"));
  const { code, stderr, node } = await run(args);
  assert.ok(node);
  assert.is(code, 125);
  assert.match(stderr, /the name is taken/);
  assert.equal(readdirSync(join(box.dir, "store/containers")), before);
  await box.tsbox("rm", "mine");
  assert.not.ok((await run(args)).node);
  await box.tsbox("rm", "mine");
});

able("starts that differ by their name only are one, whatever else has that name", async () => {
  const args = (...name: string[]) => [...name, "base", "echo", "--name", "first"];
  await run(args("--name", "first"));
  await run(args("--name", "other"));
  const second = await run(args("--name", "zweite"));
  assert.not.ok(second.node);
  assert.is(second.stdout, "--name first\n");
  const [found] = JSON.parse((await box.tsbox("inspect", "zweite")).stdout);
  assert.is(found.Name, "/zweite");
  assert.equal(found.Args, ["--name", "first"]);
  await run(args("--name=third"));
  assert.not.ok((await run(args("--name=fourth"))).node);
  // what is no name is refused as ever
  const bad = await run(args("--name", "-x"));
  assert.is(bad.code, 125);
  await box.tsbox("rm", "first", "other", "zweite", "third", "fourth");
});

able("a variable that was looked up is looked up again", async () => {
  const args = ["--rm", "base", "true"];
  await keep(args);
  assert.ok((await run(args, { env: { TSBOX_OFFLINE: "1" } })).node);
  await keep(args, { env: { TSBOX_OFFLINE: "1" } });
  // nobody has asked for this one
  assert.not.ok((await run(args, { env: { TSBOX_OFFLINE: "1", OTHER: "x" } })).node);
});

able("a variable that is passed on is kept nowhere", async () => {
  const args = ["--rm", "-e", "TOKEN", "base", "sh", "-c", 'echo "$TOKEN"'];
  for (const value of ["s3cret-one", "s3cret-two", undefined]) {
    const { stdout, node } = await run(args, { env: { TOKEN: value } });
    assert.equal([stdout, node], [`${value ?? ""}\n`, true]);
  }
  const found = await box.program("grep", ["-ra", "s3cret", join(box.dir, "store")]);
  assert.is(found.stdout, "");
});

able("an image that has become another is found", async () => {
  await box.tsbox("run", "--name", "source", "base", "sh", "-c", "echo one > /version");
  await box.tsbox("commit", "source", "changing");
  const args = ["--rm", "changing", "cat", "/version"];
  await keep(args);
  await box.tsbox("start", "source");
  await box.tsbox("rm", "source");
  await box.tsbox("run", "--name", "source", "base", "sh", "-c", "echo two > /version");
  await box.tsbox("commit", "source", "changing");
  assert.is((await run(args)).stdout, "two\n");
  await box.tsbox("rm", "source");
  await box.tsbox("rmi", "changing");
  const gone = await run(["--pull", "never", ...args]);
  assert.is(gone.code, 125);
  assert.match(gone.stderr, /not in the store/);
});

able("a folder that is mounted must be that one", async () => {
  const folder = (name: string, text: string) => {
    mkdirSync(join(box.dir, name));
    writeFileSync(join(box.dir, name, "file"), text);
  };
  folder("one", "one");
  folder("two", "two");
  symlinkSync("one", join(box.dir, "link"));
  const args = ["--rm", "-v", "./link:/m:ro", "base", "cat", "/m/file"];
  await keep(args, { cwd: box.dir });
  writeFileSync(join(box.dir, "one/file"), "changed");
  const again = await run(args, { cwd: box.dir });
  assert.equal([again.stdout, again.node], ["changed", false]);
  unlinkSync(join(box.dir, "link"));
  symlinkSync("two", join(box.dir, "link"));
  assert.is((await run(args, { cwd: box.dir })).stdout, "two");
  // the same words elsewhere are another folder
  mkdirSync(join(box.dir, "elsewhere/link"), { recursive: true });
  writeFileSync(join(box.dir, "elsewhere/link/file"), "elsewhere");
  assert.is((await run(args, { cwd: join(box.dir, "elsewhere") })).stdout, "elsewhere");
});

able("a folder that was moved away and replaced is not mounted for the one that is meant", async () => {
  for (const name of ["now", "later"]) mkdirSync(join(box.dir, name));
  writeFileSync(join(box.dir, "now/file"), "meant");
  symlinkSync("now", join(box.dir, "current"));
  const args = ["--rm", "-v", `${join(box.dir, "current")}:/m`, "base", "cat", "/m/file"];
  await keep(args);
  renameSync(join(box.dir, "now"), join(box.dir, "before"));
  unlinkSync(join(box.dir, "current"));
  symlinkSync("before", join(box.dir, "current"));
  mkdirSync(join(box.dir, "now"));
  writeFileSync(join(box.dir, "now/file"), "another");
  assert.is((await run(args)).stdout, "meant");
});

able("modes, limits and the umask are those that Node's way gives", async () => {
  const look = ["--rm", "base", "sh", "-c", "stat -c %a /; ulimit -Sn; umask"];
  const containers = join(box.dir, "store/containers");
  chmodSync(containers, 0o2711);
  try {
    const shell = `ulimit -Sn 200; umask 027; for i in 1 2 3; do "$0" run "$@"; done`;
    writeFileSync(starts, "");
    const { stdout } = await box.program("sh", ["-c", shell, TSBOX, ...look], { env });
    const [first, second, third] = stdout.trim().split(/(?<=\n\d{4})\n/);
    assert.match(first ?? "", /^755\n\d+\n0022$/);
    assert.is(second, first);
    assert.is(third, first);
    assert.is(readFileSync(starts, "utf8"), "started\n");
  } finally {
    chmodSync(containers, 0o711);
  }
});

able("another installation's kept starts are its own", async () => {
  const args = ["run", "--rm", "base", "echo", "hi"];
  await keep(args.slice(1));
  const other = join(box.dir, "other");
  cpSync(dirname(TSBOX), other, { recursive: true });
  writeFileSync(starts, "");
  assert.is((await box.program(join(other, "tsbox"), args, { env })).stdout, "hi\n");
  assert.is(readFileSync(starts, "utf8"), "started\n");
  assert.not.ok((await box.program(join(other, "tsbox"), args, { env })).code);
  assert.is(readFileSync(starts, "utf8"), "started\n");
  // a program that was written anew is another
  appendFileSync(join(other, "run.cjs"), "\n");
  await box.program(join(other, "tsbox"), args, { env });
  assert.is(readFileSync(starts, "utf8"), "started\nstarted\n");
  assert.ok((await run(args.slice(1))).node);
});

able("a prune forgets what was kept", async () => {
  await keep(["--rm", "base", "true"]);
  assert.ok(readdirSync(kept).length > 0);
  await box.tsbox("system", "prune", "-f");
  assert.not.ok(existsSync(kept));
});

able("a lock file that has come is looked at", async () => {
  const cwd = join(box.dir, "project");
  mkdirSync(cwd);
  await keep(["--rm", "base", "echo", "unlocked"], { cwd });
  writeFileSync(join(cwd, "tsbox.lock"), "no lock file");
  // whether the image is locked is for Node to find out
  assert.ok((await run(["--rm", "base", "echo", "unlocked"], { cwd })).node);
});

able("what warns, replaces, publishes or makes a volume is not kept", async () => {
  for (const flags of [
    ["--rm", "--storage-opt", "size=1m", "--network", "host"],
    ["--rm", "-v", "/data"],
    ["--rm", "-v", "named:/data"],
    ["--rm", "-p", "127.0.0.1::80"],
    ["--name", "again", "--replace"],
    ["--rm", "--label-file", join(box.dir, "registries.conf")],
  ]) {
    for (let round = 0; round < 3; round++) {
      const { code, node, stderr } = await run([...flags, "base", "true"]);
      assert.is(code, 0, stderr);
      assert.ok(node, flags.join(" "));
    }
  }
  await box.tsbox("rm", "again");
});

able("a damaged kept start is Node's to replace", async () => {
  const args = ["--rm", "base", "echo", "whole"];
  for (const name of existsSync(kept) ? readdirSync(kept) : []) rmSync(join(kept, name));
  await keep(args);
  const [name = ""] = readdirSync(kept);
  const path = join(kept, name);
  const whole = readFileSync(path);
  const containers = readdirSync(join(box.dir, "store/containers"));
  const damaged: Buffer[] = [];
  for (let length = 0; length < whole.length; length += 97) damaged.push(whole.subarray(0, length));
  for (let at = 13; at < whole.length; at += 211) {
    const copy = Buffer.from(whole);
    copy[at] = (copy[at] ?? 0) ^ 0x55;
    damaged.push(copy);
  }
  damaged.push(Buffer.alloc(4000, "x"), Buffer.concat([whole, Buffer.from("more\0")]));
  for (const bytes of damaged) {
    writeFileSync(path, bytes);
    const { code, stdout, node } = await run(args);
    assert.equal({ code, stdout, node }, { code: 0, stdout: "whole\n", node: true }, bytes.toString("latin1"));
  }
  assert.equal(readdirSync(join(box.dir, "store/containers")), containers);
});

able("a kept start that somebody else could have written is not used", async () => {
  const args = ["--rm", "base", "echo", "mine"];
  for (const name of readdirSync(kept)) rmSync(join(kept, name));
  await keep(args);
  const [name = ""] = readdirSync(kept);
  chmodSync(join(kept, name), 0o666);
  assert.ok((await run(args)).node);
  await keep(args);
  renameSync(join(kept, name), join(kept, "moved"));
  symlinkSync("moved", join(kept, name));
  assert.ok((await run(args)).node);
});

able("a store that cannot be written is Node's to report", async () => {
  const args = ["--rm", "base", "true"];
  await keep(args);
  const names = readdirSync(join(box.dir, "store/names"));
  const containers = join(box.dir, "store/containers");
  chmodSync(containers, 0o500);
  try {
    const { code, node } = await run(args);
    assert.ok(node);
    assert.is(code, 125);
  } finally {
    chmodSync(containers, 0o711);
  }
  assert.equal(readdirSync(join(box.dir, "store/names")), names);
});

able("without Node in PATH it says so", async () => {
  const { code, stderr } = await box.run(["version"], { env: { PATH: "/nonexistent" } });
  assert.is(code, 125);
  assert.match(stderr, /^tsbox: Cannot start Node: .*\nhint: .*PATH/);
});

able("the journal is set aside by Node, not outgrown", async () => {
  const args = ["--rm", "base", "true"];
  await keep(args);
  appendFileSync(join(box.dir, "store/journal"), `${"x".repeat(5 << 20)}\n`);
  assert.ok((await run(args)).node);
  assert.ok(existsSync(join(box.dir, "store/journal.1")));
});

test.run();
