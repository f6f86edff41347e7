import { mkdtempSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { makeFolder } from "../../../runner/base/make-folder.ts";

let folder: string;

test.before.each(() => {
  folder = mkdtempSync(join(tmpdir(), "tsbox-test-"));
});

test.after.each(() => {
  rmSync(folder, { recursive: true });
});

test("missing parents are made, with the mode", () => {
  makeFolder(join(folder, "a/b/c"), 0o700);
  assert.is(statSync(join(folder, "a/b")).mode & 0o777, 0o700);
  assert.is(statSync(join(folder, "a/b/c")).mode & 0o777, 0o700);
});

test("a folder that is there, or a link to one, stays", () => {
  symlinkSync(folder, join(folder, "link"));
  makeFolder(join(folder, "link"));
  makeFolder(join(folder, "link/new"));
  assert.ok(statSync(join(folder, "new")).isDirectory());
});

test("what cannot be made is an error below a file, a dangling link and /proc", () => {
  writeFileSync(join(folder, "file"), "");
  symlinkSync("nowhere", join(folder, "dangling"));
  assert.throws(() => makeFolder(join(folder, "file")), /EEXIST/);
  assert.throws(() => makeFolder(join(folder, "file/sub/x")), /ENOTDIR/);
  assert.throws(() => makeFolder(join(folder, "dangling/sub/x")), /EEXIST/);
  assert.throws(() => makeFolder("/proc/none/sub"), /ENOENT/);
});

test.run();
