/** Names, paths and files that somebody else has chosen. */
import { existsSync, lstatSync, mkdirSync, readdirSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";

const able = need("user-namespace", test);
const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

able("names cannot lead out of the store", async () => {
  for (const args of [
    ["run", "--rm", "--name", "../../x", "base", "true"],
    ["rm", "../x"],
    ["rm", ".."],
    ["tag", "base", "../../x"],
    ["run", "--rm", "../../etc/passwd", "true"],
    ["run", "--rm", "base@sha256:../../../../etc/passwd", "true"],
  ]) {
    const { code, stderr } = await box.tsbox(...args);
    assert.is.not(code, 0, args.join(" "));
    assert.match(stderr, /^tsbox: Cannot /);
  }
});

able("a working directory cannot be a door of /proc out of the root", async () => {
  for (const path of ["/proc/self/fd/3", "/proc/1/root", "/proc/self/cwd"]) {
    const { code, stdout } = await box.tsbox("run", "--rm", "-w", path, "base", "ls");
    if (path !== "/proc/self/cwd") assert.is(code, 125, path);
    assert.not.match(stdout, /home\/dev|work/);
  }
});

able("--cidfile does not write through a symbolic link", async () => {
  symlinkSync(join(box.dir, "victim"), join(box.dir, "cid"));
  assert.is((await box.tsbox("run", "--rm", "--cidfile", join(box.dir, "cid"), "base", "true")).code, 125);
  assert.not.ok(existsSync(join(box.dir, "victim")));
});

able("a volume whose place in the image is a link leads nowhere outside", async () => {
  const root = join(box.dir, "root");
  mkdirSync(join(root, "etc"), { recursive: true });
  symlinkSync("../../../../../../../tmp", join(root, "out"));
  const source = join(box.dir, "source");
  mkdirSync(source);
  await box.tsbox("run", "--rm", "--rootfs", root, "-v", `${source}:/out/tsbox-isolation-made`, "x");
  assert.not.ok(existsSync("/tmp/tsbox-isolation-made"));
});

able("other users cannot read the store", async () => {
  await box.tsbox("run", "--name", "kept", "-e", "SECRET=hunter2", "base", "true");
  const store = join(box.dir, "store");
  assert.is(statSync(store).mode & 0o077, 0);
  for (const id of readdirSync(join(store, "containers"))) {
    for (const name of ["record.json", "log", "plan", "events"]) {
      const path = join(store, "containers", id, name);
      if (existsSync(path)) assert.is(lstatSync(path).mode & 0o077, 0, name);
    }
  }
});

able("a newline in the environment or a label does not become a word of the plan", async () => {
  const { stdout } = await box.tsbox(
    "run",
    "--rm",
    "-l",
    "x=a\ncap-add",
    "-e",
    "A=b\nuser",
    "base",
    "sh",
    "-c",
    'printf %s "$A"; id -u',
  );
  assert.is(stdout, "b\nuser0\n");
});

test.run();
