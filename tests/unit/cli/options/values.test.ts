import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseCapabilities } from "../../../../runner/cli/options/capability.ts";
import { parseEnvFile, resolveEnvironment } from "../../../../runner/cli/options/environment.ts";
import { parseLabels } from "../../../../runner/cli/options/labels.ts";
import { parseNetwork } from "../../../../runner/cli/options/namespace.ts";
import { parsePlatform } from "../../../../runner/cli/options/platform.ts";
import { parseSecurityOptions } from "../../../../runner/cli/options/security.ts";
import { parseSignal } from "../../../../runner/cli/options/signal.ts";
import { parseStopTimeout } from "../../../../runner/cli/options/stop-timeout.ts";
import { parseUlimit } from "../../../../runner/cli/options/ulimit.ts";
import { parseUserns } from "../../../../runner/cli/options/userns.ts";
import {
  parseEntrypoint,
  parseHostname,
  parseName,
  parseUser,
  parseWorkdir,
} from "../../../../runner/cli/options/words.ts";
import { signalNumber } from "../../../../runner/engine/signals.ts";

test("-e takes the host's value, or removes the image's", () => {
  assert.equal(resolveEnvironment(["A=1", "B", "C", "D="], { B: "b" }), { env: ["A=1", "B=b", "D="], unsetEnv: ["C"] });
  assert.throws(() => resolveEnvironment(["=x"], {}), /it has no name/);
});

test("an env file is read by docker's rules", () => {
  const text = "\uFEFFA=1\n# comment\n\n  B=two words  \r\nC='quoted'\nHOST\nNONE\nE=a=b\nF=\n";
  const words = ["A=1", "B=two words  ", "C='quoted'", "HOST=h", "E=a=b", "F="];
  assert.equal(parseEnvFile(text, "f", { HOST: "h" }), words);
  assert.throws(() => parseEnvFile("A=1\n=x", "f", {}), /Cannot read f: line 2 has no name/);
  assert.throws(() => parseEnvFile("export A=1", "f", {}), /"export A" contains blanks/);
});

test("labels may lack a value", () => {
  assert.equal(parseLabels(["a=1", "b", "c=x=y"]), { a: "1", b: "", c: "x=y" });
  assert.equal(Object.keys(parseLabels(["__proto__=1"])), ["__proto__"]);
  assert.throws(() => parseLabels(["=x"]), /it has no key/);
});

test("limits are soft and hard", () => {
  assert.equal(parseUlimit("nofile=10"), { name: "nofile", soft: 10, hard: 10 });
  assert.equal(parseUlimit("core=0:-1"), { name: "core", soft: 0, hard: "unlimited" });
  assert.equal(parseUlimit("RLIMIT_NPROC=unlimited"), { name: "nproc", soft: "unlimited", hard: "unlimited" });
  assert.throws(
    () => parseUlimit("nofiles=1"),
    (error: { hint?: string }) => /nofile/.test(error.hint ?? ""),
  );
  assert.throws(() => parseUlimit("nofile"), /expected NAME=SOFT/);
  assert.throws(() => parseUlimit("nofile=20:10"), /above the hard limit/);
  assert.throws(() => parseUlimit("nofile=-1:10"), /above the hard limit/);
  assert.throws(() => parseUlimit("nofile=ten"), /whole number/);
});

test("capabilities have one spelling", () => {
  assert.equal(parseCapabilities("net_admin,CAP_SYS_TIME, all"), ["CAP_NET_ADMIN", "CAP_SYS_TIME", "ALL"]);
  assert.throws(() => parseCapabilities("net-admin"), /expected a capability/);
});

test("security options are read, and those without effect kept apart", () => {
  const read = (...words: string[]) => parseSecurityOptions(words, "/cwd");
  assert.equal(read(), { noNewPrivileges: true, withoutEffect: [], mask: [], unmask: [] });
  assert.equal(read("seccomp=unconfined").seccomp, "unconfined");
  assert.equal(read("seccomp:p.json").seccomp, { profile: "/cwd/p.json" });
  assert.not("seccomp" in read("seccomp=unconfined", "seccomp=builtin"));
  assert.is(read("no-new-privileges=false").noNewPrivileges, false);
  assert.is(read("no-new-privileges").noNewPrivileges, true);
  assert.is(read("no-new-privileges:false").noNewPrivileges, false);
  assert.equal(read("label=type:x", "apparmor=unconfined").withoutEffect, ["label=type:x", "apparmor=unconfined"]);
  assert.throws(() => read("secomp=x"), /unknown option/);
  assert.throws(() => read("seccomp"), /needs a profile/);
  assert.throws(() => read("no-new-privileges=maybe"), /true or false/);
});

test("--userns knows keep-id and the default", () => {
  assert.is(parseUserns(""), undefined);
  assert.is(parseUserns("host"), undefined);
  assert.equal(parseUserns("keep-id"), { mode: "keep-id" });
  assert.equal(parseUserns("keep-id:uid=5,gid=6"), { mode: "keep-id", uid: 5, gid: 6 });
  for (const text of ["auto", "keep-id:", "keep-id:uid=x", "keep-id:uid=4294967295"])
    assert.throws(() => parseUserns(text));
});

test("signals have one spelling", () => {
  for (const text of ["TERM", "sigterm", "15", "SIGTERM"]) assert.is(parseSignal(text), "SIGTERM");
  assert.is(parseSignal("RTMIN+3"), "SIGRTMIN+3");
  assert.is(parseSignal("37"), "SIGRTMIN+3");
  assert.is(parseSignal("SIGRTMAX-1"), "SIGRTMIN+29");
  assert.is(signalNumber("SIGKILL"), 9);
  assert.is(signalNumber("SIGRTMIN+3"), 37);
  assert.throws(
    () => parseSignal("SIGTREM"),
    (error: { hint?: string }) => /SIGTERM/.test(error.hint ?? ""),
  );
  for (const text of ["", "0", "99", "RTMIN+40", "constructor"])
    assert.throws(() => parseSignal(text), undefined, text);
});

test("platforms have one spelling", () => {
  assert.equal(parsePlatform("linux/arm64/v8"), { os: "linux", architecture: "arm64" });
  assert.equal(parsePlatform("linux/arm/v6"), { os: "linux", architecture: "arm", variant: "v6" });
  assert.equal(parsePlatform("x86_64"), { os: "linux", architecture: "amd64" });
  assert.equal(parsePlatform("Linux/aarch64"), { os: "linux", architecture: "arm64" });
  assert.equal(parsePlatform("linux/armhf"), { os: "linux", architecture: "arm", variant: "v7" });
  for (const text of ["", "linux/", "a/b/c/d", "linux amd64"])
    assert.throws(() => parsePlatform(text), /expected OS\/ARCH/);
});

test("words are checked for form", () => {
  assert.is(parseName("web-1.a_b"), "web-1.a_b");
  for (const text of ["", "-a", "a/b", "a b", ".."]) assert.throws(() => parseName(text), /a name begins/);
  assert.is(parseHostname("box.example"), "box.example");
  for (const text of ["", "-a", "a b", "a".repeat(65)]) assert.throws(() => parseHostname(text), /a host name/);
  assert.is(parseUser("1000:100"), "1000:100");
  for (const text of ["", ":1", "a:", "a:b:c"]) assert.throws(() => parseUser(text), /expected UID/);
  assert.is(parseWorkdir("/a//b/../c"), "/a/c");
  assert.throws(() => parseWorkdir("a"), /absolute/);
});

test("an entrypoint is a word, a JSON list, or nothing", () => {
  assert.equal(parseEntrypoint("sh"), ["sh"]);
  assert.equal(parseEntrypoint("a b"), ["a b"]);
  assert.equal(parseEntrypoint('["sh","-c"]'), ["sh", "-c"]);
  assert.equal(parseEntrypoint(""), []);
  assert.equal(parseEntrypoint("["), ["["]);
  assert.throws(() => parseEntrypoint("[1]"), /list of strings/);
});

test("networks are none, the host's or a container's", () => {
  assert.is(parseNetwork("none"), "none");
  assert.throws(() => parseNetwork("bridge"), /expected none, host or container/);
  assert.is(parseNetwork("container:web"), "container:web");
  assert.throws(() => parseNetwork("container:"), /expected none/);
});

test("a stop timeout of -1 never ends", () => {
  assert.is(parseStopTimeout("-1"), Number.POSITIVE_INFINITY);
  assert.is(parseStopTimeout("3"), 3000);
});

test.run();
