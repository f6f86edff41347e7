/** Capabilities, seccomp, no_new_privs and resource limits, read from /proc inside. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { workspace } from "../support/tsbox.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

const sh = (script: string, ...flags: string[]) => box.tsbox("run", "--rm", ...flags, "base", "sh", "-c", script);
async function status(field: string, ...flags: string[]): Promise<string> {
  const { stdout, stderr } = await sh(`grep ^${field}: /proc/self/status`, ...flags);
  return stderr + (stdout.split("\t")[1]?.trim() ?? "");
}

const KILL = 1n << 5n;
const NET_ADMIN = 1n << 12n;
const DEFAULT = 0xa80425fbn;
const hex = (mask: bigint) => mask.toString(16).padStart(16, "0");

test("the default capabilities are docker's", async () => {
  for (const set of ["CapEff", "CapPrm", "CapBnd"]) assert.is(await status(set), hex(DEFAULT));
  for (const set of ["CapInh", "CapAmb"]) assert.is(await status(set), hex(0n));
});

test("--cap-add and --cap-drop change one, in either spelling", async () => {
  assert.is(await status("CapEff", "--cap-add", "NET_ADMIN"), hex(DEFAULT | NET_ADMIN));
  assert.is(await status("CapBnd", "--cap-add", "cap_net_admin"), hex(DEFAULT | NET_ADMIN));
  assert.is(await status("CapEff", "--cap-drop", "KILL"), hex(DEFAULT & ~KILL));
  assert.is(await status("CapBnd", "--cap-drop", "CAP_KILL"), hex(DEFAULT & ~KILL));
});

test("--cap-drop ALL leaves none but what is added", async () => {
  assert.is(await status("CapEff", "--cap-drop", "ALL"), hex(0n));
  assert.is(await status("CapBnd", "--cap-drop", "all", "--cap-add", "KILL"), hex(KILL));
});

test("--cap-add ALL gives all that the kernel has", async () => {
  const last = BigInt((await sh("cat /proc/sys/kernel/cap_last_cap")).stdout.trim());
  assert.is(await status("CapEff", "--cap-add", "ALL"), hex((1n << (last + 1n)) - 1n));
});

test("an unknown capability is refused, with the nearest", async () => {
  const { code, stderr } = await sh("true", "--cap-add", "NET_ADMIM");
  assert.is(code, 125);
  assert.match(stderr, /NET_ADMI/);
});

test("the default filter is on, and refuses with EPERM", async () => {
  assert.is(await status("Seccomp"), "2");
  const { code, stderr } = await sh("unshare -U true 2>&1 >/dev/null && echo allowed >&2; mount -t tmpfs t /mnt");
  assert.is.not(code, 0);
  assert.not.match(stderr, /allowed/);
});

test("seccomp=unconfined is without", async () => {
  assert.is(await status("Seccomp", "--security-opt", "seccomp=unconfined"), "0");
});

test("seccomp=FILE takes a profile in docker's form", async () => {
  const file = join(box.dir, "profile.json");
  const rule = { names: ["mkdir", "mkdirat"], action: "SCMP_ACT_ERRNO", errnoRet: 38 };
  writeFileSync(
    file,
    JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", architectures: ["SCMP_ARCH_X86_64"], syscalls: [rule] }),
  );
  const { stdout } = await sh("mkdir /x 2>&1; ls /", "--security-opt", `seccomp=${file}`);
  assert.match(stdout, /Function not implemented/);
});

test("a profile that is missing or wrong is refused", async () => {
  assert.is((await sh("true", "--security-opt", "seccomp=/no/such")).code, 125);
  const file = join(box.dir, "wrong.json");
  writeFileSync(file, "{");
  const { code, stderr } = await sh("true", "--security-opt", `seccomp=${file}`);
  assert.is(code, 125);
  assert.match(stderr, /wrong\.json/);
});

test("no_new_privs as asked", async () => {
  assert.is(await status("NoNewPrivs", "--security-opt", "no-new-privileges"), "1");
  assert.is(await status("NoNewPrivs", "--security-opt", "no-new-privileges=false"), "0");
});

test("--ulimit sets soft and hard limits", async () => {
  assert.is((await sh("ulimit -Sn; ulimit -Hn", "--ulimit", "nofile=100:200")).stdout, "100\n200\n");
  assert.is((await sh("ulimit -Sn; ulimit -Hn", "--ulimit", "nofile=300")).stdout, "300\n300\n");
  assert.is((await sh("ulimit -c", "--ulimit", "core=0")).stdout, "0\n");
});

test("a limit above the caller's own is refused, saying so", async () => {
  const { code, stderr } = await sh("true", "--ulimit", "nofile=999999999");
  assert.is(code, 125);
  assert.match(stderr, /hard limit|own/);
});

test("an unknown limit is refused", async () => {
  const { code, stderr } = await sh("true", "--ulimit", "nofiles=1");
  assert.is(code, 125);
  assert.match(stderr, /nofile/);
});

test.run();
