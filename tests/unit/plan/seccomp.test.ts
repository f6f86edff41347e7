import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseSeccompProfile, seccompWords } from "../../../runner/plan/seccomp.ts";
import { DEFAULT_PROFILE } from "../../../runner/plan/seccomp-default.ts";

const host = { arch: "x64", kernel: "6.1.0" };
const rules = (words: string[]) => words.join(" ");

test("the default profile allows clone only without namespace flags, and makes clone3 absent", () => {
  const text = rules(seccompWords(DEFAULT_PROFILE, ["CAP_CHOWN"], host));
  assert.match(text, "rule allow 1 clone 1 0 masked-eq 0 2114060288");
  assert.match(text, "rule errno 38 clone3 0");
  assert.not.match(text, /rule allow 1 mount 0/);
  assert.not.match(text, /rule allow 1 (keyctl|add_key|request_key|bpf|io_uring_setup) /);
});

test("the default profile opens what a capability asks for", () => {
  const text = rules(seccompWords(DEFAULT_PROFILE, ["CAP_SYS_ADMIN"], host));
  assert.match(text, "rule allow 1 mount 0");
  assert.match(text, "rule allow 1 clone 0");
  assert.not.match(text, "rule errno 38 clone3");
});

test("seccompWords() takes the other architectures that the machine can run", () => {
  const text = rules(seccompWords(DEFAULT_PROFILE, [], host));
  assert.match(text, "arch x86 arch x32");
  assert.match(text, "arch_prctl");
  assert.not.match(text, "arm_fadvise64_64");
});

test("seccompWords() honours minKernel", () => {
  const profile = {
    defaultAction: "SCMP_ACT_ERRNO",
    syscalls: [{ names: ["ptrace"], action: "SCMP_ACT_ALLOW", includes: { minKernel: "4.8" } }],
  };
  assert.match(rules(seccompWords(profile, [], host)), "ptrace");
  assert.not.match(rules(seccompWords(profile, [], { ...host, kernel: "4.4.1" })), "ptrace");
});

test("parseSeccompProfile() names what is wrong with a profile", () => {
  assert.throws(() => parseSeccompProfile("{"), /Cannot use seccomp profile/);
  assert.throws(() => parseSeccompProfile("{}"), /"defaultAction" is missing/);
  assert.throws(() => parseSeccompProfile('{"defaultAction":"SCMP_ACT_FLY"}'), /unknown action "SCMP_ACT_FLY"/);
});

test.run();
