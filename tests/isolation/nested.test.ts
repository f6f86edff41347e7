/** tsbox inside tsbox: it runs where the outer container lets it, and says what is in the way where not. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { ROOT, TSBOX, workspace } from "../support/tsbox.ts";

const able = need(["user-namespace", "not-root", "subids"], test);
const box = workspace();
test.after(async () => {
  // podman leaves a process that keeps its namespaces
  const pause = join(box.dir, "run/libpod/tmp/pause.pid");
  if (existsSync(pause)) process.kill(Number(readFileSync(pause, "utf8")), "SIGKILL");
  await box[Symbol.asyncDispose]();
});

const inner = `TSBOX_ROOT=/inner/store ${join(ROOT, "dist/tsbox")}`;
const nested = (script: string, ...flags: string[]) =>
  box.tsbox("run", "--rm", "--tmpfs", "/inner", ...flags, "host", "sh", "-c", script);

able("a container runs in a privileged container", async () => {
  const { code, stdout, stderr } = await nested(`${inner} run --rm -u 5 base id -u`, "--privileged");
  assert.is(code, 0, stderr);
  assert.is(stdout, "5\n");
});

able("a container runs where only the filter and the masks are off", async () => {
  const flags = ["--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"];
  const { code, stdout, stderr } = await nested(
    `${inner} run --rm base cat /proc/1/comm; ${inner} run --rm base true`,
    ...flags,
  );
  assert.is(code, 0, stderr);
  assert.is(stdout, "cat\n");
});

// Well above what Node's threads need, which are more on a machine with more cores.
able("the limit of processes holds for what is nested", async () => {
  const { stdout, stderr } = await nested(
    `${inner} run --rm base sh -c 'for i in $(seq 80); do sleep 100 & done; echo done'`,
    "--privileged",
    "--pids-limit",
    "60",
  );
  assert.not.match(stdout, /done/);
  assert.match(stderr, /can't fork: Resource temporarily unavailable/);
});

able("the outer container's filter and its masks are told as what is in the way", async () => {
  const filtered = await nested(`${inner} run --rm base true`);
  assert.is(filtered.code, 125);
  assert.match(filtered.stderr, /seccomp=unconfined/);
  const masked = await nested(`${inner} run --rm base true`, "--security-opt", "seccomp=unconfined");
  assert.is(masked.code, 125);
  assert.match(masked.stderr, /unmask=ALL/);
});

able("three levels deep", async () => {
  const innermost = `${join(ROOT, "dist/tsbox")} --root /deep/store run --rm base sh -c 'echo third; cat /proc/1/comm'`;
  const { code, stdout, stderr } = await nested(
    `${inner} run --rm --privileged --tmpfs /deep host sh -c "${innermost}"`,
    "--privileged",
  );
  assert.is(code, 0, stderr);
  assert.is(stdout, "third\ncat\n");
});

able("under a masked /proc --pid host does without a fresh one", async () => {
  const { code, stdout, stderr } = await nested(
    `${inner} run --rm --pid host base cat /proc/self/comm`,
    "--security-opt",
    "seccomp=unconfined",
  );
  assert.is(code, 0, stderr);
  assert.is(stdout, "cat\n");
});

const refuse = (names: string[], errnoRet = 1, args: object[] = []) => ({
  names,
  action: "SCMP_ACT_ERRNO",
  errnoRet,
  args,
});
const NEW_USER = { index: 0, value: 0x10000000, valueTwo: 0x10000000, op: "SCMP_CMP_MASKED_EQ" };
/** Docker profiles that allow all but these. */
const REFUSING: Record<string, object[]> = {
  mount: [refuse(["mount", "fsopen", "fsmount", "move_mount", "open_tree"])],
  // as Docker's own: threads are made by clone, where clone3 is not known
  namespaces: [refuse(["unshare"]), refuse(["clone3"], 38), refuse(["clone"], 1, [NEW_USER])],
  pivot_root: [refuse(["pivot_root"])],
};
for (const [what, syscalls] of Object.entries(REFUSING)) {
  able(`an outer filter that refuses ${what} is named`, async () => {
    const profile = join(box.dir, `${what}.json`);
    writeFileSync(profile, JSON.stringify({ defaultAction: "SCMP_ACT_ALLOW", syscalls }));
    const flags = ["--security-opt", `seccomp=${profile}`, "--security-opt", "systempaths=unconfined"];
    const { code, stderr } = await nested(`${inner} run --rm base true`, ...flags);
    assert.is(code, 125);
    assert.match(stderr, /seccomp=unconfined/);
  });
}

const inBwrap = need(["user-namespace", "not-root", "bwrap"], test);
const bwrap = (flags: string, script: string) =>
  box.program("sh", ["-c", `exec bwrap --ro-bind / / --dev /dev --tmpfs ${box.dir} ${flags} sh -c "$0"`, script], {
    env: { TMPDIR: box.dir },
  });
const inTmp = `${TSBOX} --root ${box.dir}/store`;

inBwrap("in bubblewrap, where newuidmap gains no privilege, a container has one id", async () => {
  const { code, stdout, stderr } = await bwrap(
    "--proc /proc --unshare-all",
    `${inTmp} run --name c base sh -c 'id -u; echo x >/x'; ${inTmp} diff c; ${inTmp} rm c >/dev/null; ls ${box.dir}/store/containers`,
  );
  assert.is(code, 0, stderr);
  assert.is(stdout, "0\nA /x\n");
  assert.match(stderr, /one id only: newuidmap gains no privilege here/);
});

inBwrap("bubblewrap's --disable-userns is told as what is in the way", async () => {
  const script = `${inTmp} run --rm base true; echo $? >&2; ${inTmp} doctor`;
  const { stdout, stderr } = await bwrap("--proc /proc --unshare-user --disable-userns", script);
  assert.match(stderr, /bwrap: --disable-userns/);
  assert.match(stderr, /125\n$/);
  assert.match(stdout, /^FAIL +user-namespace/m);
  assert.is(stdout.match(/fix: the container or sandbox around/g)?.length, 1);
});

inBwrap("the /proc of another pid namespace is told as what is in the way", async () => {
  const { stderr } = await bwrap("--unshare-pid", `${inTmp} run --rm base true`);
  assert.match(stderr, /\/proc is another pid namespace's/);
});

able("a limit of no user namespaces is told as what is in the way", async () => {
  const script = `echo 0 >/proc/sys/user/max_user_namespaces && exec ${TSBOX} run --rm base true`;
  const { code, stderr } = await box.program("unshare", ["-Ur", "sh", "-c", script]);
  assert.is(code, 125);
  assert.match(stderr, /raise its user\.max_user_namespaces/);
});

able("in a namespace that has none of the caller's range a container has one id", async () => {
  const { code, stdout, stderr } = await box.program("unshare", ["-Uc", TSBOX, "run", "--rm", "base", "id", "-u"]);
  assert.is(code, 0, stderr);
  assert.is(stdout, "0\n");
  assert.match(stderr, /your range of ids does not exist in the user namespace around/);
});

/** podman needs a cgroup v2 of its own, or says why not. */
const PODMAN = ["--cgroup-manager", "cgroupfs", "--root", join(box.dir, "pod"), "--runroot", join(box.dir, "podrun")];
const podman = (...args: string[]) => box.program("podman", [...PODMAN, ...args]);
const SYSTEM = ["/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc/alternatives", "/etc/ssl"].filter((path) =>
  existsSync(path),
);

async function podmanWorks(): Promise<boolean> {
  await box.tsbox("create", "--name", "plain", "base", "true");
  const tar = join(box.dir, "plain.tar");
  await box.tsbox("export", "-o", tar, "plain");
  await podman("import", "-q", tar, "plain");
  const { code, stderr } = await podman("run", "--rm", "--network", "none", "plain", "true");
  if (code !== 0) console.log(`skip: in podman: podman runs nothing here (${stderr.trim().split("\n").at(-1)})`);
  return code === 0;
}

need(["user-namespace", "not-root", "subids", "podman"], test)("in rootless podman without privilege", async () => {
  if (!(await podmanWorks())) return;
  const mounts = [...new Set([...SYSTEM, ROOT, dirname(process.execPath)])].flatMap((path) => [
    "-v",
    `${path}:${path}:ro`,
  ]);
  const inside = (script: string, ...flags: string[]) =>
    podman(
      "run",
      "--rm",
      "--network",
      "none",
      "--tmpfs",
      "/inner:mode=1777",
      ...mounts,
      ...flags,
      "plain",
      "sh",
      "-c",
      script,
    );
  const open = ["--security-opt", "unmask=/proc/*"];
  const ran = await inside(
    `cd /inner; printf 'FROM base\\nRUN touch /made\\n' >Dockerfile
     ${inner} build -q -t made . >/dev/null && ${inner} run --rm made ls /made
     ${inner} run -d --name e base sleep 100 >/dev/null; ${inner} exec e id -u; ${inner} rm -f e >/dev/null`,
    ...open,
  );
  assert.is(ran.stdout, "/made\n0\n", ran.stderr);
  const named = await inside(`${inner} run --rm --hostname x base true`, ...open);
  assert.match(named.stderr, /leave --hostname away/);
  const masked = await inside(`${inner} run --rm base true`);
  assert.is(masked.code, 125);
  assert.match(masked.stderr, /unmask=ALL/);
  assert.is((await inside(`${inner} run --rm --pid host base echo shared`)).stdout, "shared\n");
  // on the overlay that podman has made for it
  const onOverlay = await inside(`${join(ROOT, "dist/tsbox")} --root /store run --rm base echo works`, ...open);
  assert.is(onOverlay.stdout, "works\n", onOverlay.stderr);
});

test.run();
