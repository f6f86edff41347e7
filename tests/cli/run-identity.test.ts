/** Users, ids, names and the network a container has. */
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

const run = (...args: string[]) => box.tsbox("run", "--rm", ...args);
const sh = (script: string, ...flags: string[]) => run(...flags, "base", "sh", "-c", script);
const uid = process.getuid?.() ?? 0;
const gid = process.getgid?.() ?? 0;

test("root inside is the default", async () => {
  assert.is((await run("base", "id")).stdout, "uid=0(root) gid=0(root) groups=0(root)\n");
});

need("subids", test)("-u takes numbers and names", async () => {
  const ids = async (spec: string) => (await sh("echo $(id -u):$(id -g) $HOME", "-u", spec)).stdout;
  assert.is(await ids("1234:5678"), "1234:5678 /\n");
  assert.is(await ids("1234"), "1234:0 /\n");
  assert.is(await ids("root"), "0:0 /root\n");
  assert.is(await ids("0:100"), "0:100 /root\n");
  assert.is(await ids("root:users"), "0:100 /root\n");
});

test("-u with a name that the image lacks is refused", async () => {
  const { code, stderr } = await sh("true", "-u", "stranger");
  assert.is(code, 126);
  assert.match(stderr, /Cannot run as user "stranger"/);
  assert.match((await sh("true", "-u", "root:strangers")).stderr, /group "strangers"/);
});

need("subids", test)("another user than root holds no capability", async () => {
  const { stdout } = await sh("grep -E 'Cap(Eff|Prm)' /proc/self/status", "-u", "1000");
  assert.is(stdout, "CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n");
});

need(["subids", "not-root"], test)("--userns keep-id is the caller, inside and in what it writes", async () => {
  const folder = join(box.dir, "mine");
  mkdirSync(folder);
  writeFileSync(join(folder, "file"), "");
  const script = "echo $(id -u):$(id -g); stat -c %u:%g /d/file; touch /d/made; stat -c %u:%g /etc/passwd /";
  const { stdout, stderr } = await sh(script, "--userns", "keep-id", "-v", `${folder}:/d`);
  assert.is(stderr, "");
  assert.is(stdout, `${uid}:${gid}\n${uid}:${gid}\n0:0\n0:0\n`);
  assert.is(statSync(join(folder, "made")).uid, uid);
});

need(["subids", "not-root"], test)(
  "--userns keep-id:uid=,gid= is another id inside and the caller outside",
  async () => {
    const folder = join(box.dir, "mine2");
    mkdirSync(folder);
    const { stdout } = await sh(
      "echo $(id -u):$(id -g); touch /d/made",
      "--userns",
      "keep-id:uid=33,gid=44",
      "-v",
      `${folder}:/d`,
    );
    assert.is(stdout, "33:44\n");
    assert.is(statSync(join(folder, "made")).uid, uid);
  },
);

need(["subids", "not-root"], test)("--userns keep-id with -u 0 is root of the range", async () => {
  assert.is((await run("--userns", "keep-id", "-u", "0", "base", "id", "-u")).stdout, "0\n");
});

test("--hostname names the machine inside, in uts, /etc/hostname and HOSTNAME", async () => {
  const { stdout } = await sh("hostname; cat /etc/hostname; echo $HOSTNAME; grep -c my-box /etc/hosts", "-h", "my-box");
  assert.is(stdout, "my-box\nmy-box\nmy-box\n1\n");
});

test("without --hostname it is the start of the container's id", async () => {
  const file = join(box.dir, "cid");
  const { stdout } = await sh("hostname", "--cidfile", file);
  assert.is(stdout.trim(), readFileSync(file, "utf8").slice(0, 12));
});

test("--network none has loopback up and nothing else", async () => {
  const { stdout } = await sh(
    "ls /sys/class/net; cat /proc/net/route | wc -l; ping -c1 -W20 127.0.0.1 >/dev/null && echo up",
    "--network",
    "none",
  );
  assert.match(stdout, /^lo\n1\nup\n$/);
});

test("--network host is the host's own", async () => {
  const { stdout } = await run("--network", "host", "base", "readlink", "/proc/self/ns/net");
  assert.is(stdout.trim(), (await box.program("readlink", ["/proc/self/ns/net"])).stdout.trim());
  assert.match((await run("--network", "host", "base", "ls", "/sys/class/net")).stdout, /lo/);
});

test("all namespaces but the host's network are new", async () => {
  const script = "for n in mnt pid ipc uts user cgroup net; do readlink /proc/self/ns/$n; done";
  const inside = (await sh(script)).stdout.trim().split("\n");
  const outside = (await box.program("sh", ["-c", script])).stdout.trim().split("\n");
  assert.is(inside.length, 7);
  for (const namespace of inside) assert.not.ok(outside.includes(namespace), namespace);
});

test("--label and --name are found again by inspect", async () => {
  await box.tsbox("run", "--name", "labelled", "-l", "a=1", "--label", "b", "base", "true");
  const { stdout } = await box.tsbox("inspect", "--format", "{{.Name}} {{json .Config.Labels}}", "labelled");
  assert.match(stdout, /^\/?labelled \{.*"a":"1","b":""\}\n$/);
});

test("a taken --name is refused, --replace takes it", async () => {
  const { code, stderr } = await box.tsbox("run", "--name", "labelled", "base", "true");
  assert.is(code, 125);
  assert.match(stderr, /the name is taken/);
  assert.is((await box.tsbox("run", "--name", "labelled", "--replace", "base", "echo", "new")).stdout, "new\n");
});

test("--cidfile that exists is refused, and no container is left", async () => {
  const file = join(box.dir, "cid-taken");
  writeFileSync(file, "");
  const before = (await box.tsbox("ps", "-aq")).stdout;
  const { code, stderr } = await box.tsbox("run", "--cidfile", file, "base", "true");
  assert.is(code, 125);
  assert.match(stderr, /Cannot write cidfile .* it exists/);
  assert.is((await box.tsbox("ps", "-aq")).stdout, before);
});

test("--pull never refuses an image that is not here", async () => {
  const { code, stderr } = await run("--pull", "never", "not-here:1", "true");
  assert.is(code, 125);
  assert.match(stderr, /not-here/);
  assert.is((await run("--pull", "never", "base", "true")).code, 0);
});

test("a platform that the image is not for is refused", async () => {
  const { code, stderr } = await run("--pull", "never", "--platform", "linux/s390x", "base", "true");
  assert.is(code, 125);
  assert.match(stderr, /s390x/);
});

test("--print-plan prints JSON and does nothing", async () => {
  const before = (await box.tsbox("ps", "-aq")).stdout;
  const { code, stdout } = await run("--print-plan", "base", "echo", "hi");
  assert.is(code, 0);
  const plan = JSON.parse(stdout) as { ops: { op: string; argv?: string[] }[] };
  assert.equal(plan.ops.at(-1), { op: "exec", argv: ["echo", "hi"] });
  assert.is((await box.tsbox("ps", "-aq")).stdout, before);
});

test.run();
