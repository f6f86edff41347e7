/** The system calls and the kernel's own doors. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";
import { attack, hostileFolder, outcomes } from "./attack.ts";

const able = need("user-namespace", test);
const box = workspace();
let folder = "";
test.before(() => {
  folder = hostileFolder(box);
});
test.after(() => box[Symbol.asyncDispose]());

const UNKNOWN = ["unknown-600", "unknown-2000", "clone3"];
const HARMLESS = ["personality-linux32", "personality-query"];

able("the default filter refuses what Docker's refuses, call by call", async () => {
  const { stdout } = await attack(box, folder, [], "syscalls");
  for (const [name, outcome] of Object.entries(outcomes(stdout))) {
    const expected = UNKNOWN.includes(name) ? "ENOSYS" : HARMLESS.includes(name) ? "ok" : "EPERM";
    assert.is(outcome, expected, name);
  }
});

able("the filter holds for the 32-bit and x32 doors too", async () => {
  const { stdout } = await attack(box, folder, [], "other-doors");
  for (const [name, outcome] of Object.entries(outcomes(stdout))) {
    if (name !== "int80-ptrace-is-open") assert.ok(["EPERM", "ENOSYS"].includes(outcome), `${name} ${outcome}`);
  }
});

able("a container may trace its own processes", async () => {
  assert.is((await attack(box, folder, [], "ptrace")).stdout, "ptrace-own ok\n");
});

able("a container cannot make device nodes", async () => {
  for (const flags of [[], ["--cap-add", "ALL"]]) {
    const { stdout } = await attack(box, folder, flags, "devices");
    for (const outcome of Object.values(outcomes(stdout))) assert.is(outcome, "EPERM");
  }
});

able("a double chroot leads back to the container's root", async () => {
  assert.match((await attack(box, folder, [], "double-chroot")).stdout, "same-root yes");
});

able("root with every capability and no filter reaches nothing of the host's kernel, even unmasked", async () => {
  const { stdout } = await attack(box, folder, ["--cap-add", "ALL", "--security-opt", "seccomp=unconfined"], "unmask");
  assert.match(stdout, "read /proc/kcore no");
  assert.not.match(stdout, /^(read|write) .* ok$/m);
  assert.not.match(stdout, /^(mount-disk|mount-cgroup1|mount-debugfs|climb) ok$/m);
});

test.run();
