/** What ps shows of which containers, and in which order; and what a reboot leaves to start. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());
const tsbox = (...args: string[]) => box.tsbox(...args);
const names = async (...flags: string[]) =>
  (await tsbox("ps", "-a", "--format", "{{.Names}}", ...flags)).stdout.split("\n").filter(Boolean);
const field = async (name: string, format: string) => (await tsbox("inspect", "--format", format, name)).stdout.trim();

test.before(async () => {
  const sleeping = ["base", "sleep", "600"];
  await tsbox("run", "--name", "big", "-l", "team=red", "base", "sh", "-c", "head -c 9000 /dev/zero > /f; exit 3");
  await tsbox("run", "-d", "--name", "always", "--restart", "always", "-l", "team=blue", ...sleeping);
  await tsbox("run", "-d", "--name", "unless", "--restart", "unless-stopped", "-v", "data:/d", ...sleeping);
  await tsbox("run", "-d", "--name", "stopped", "--restart", "unless-stopped", ...sleeping);
  await tsbox("run", "-d", "--name", "failure", "--restart", "on-failure:2", ...sleeping);
  await tsbox("stop", "-t", "0", "stopped");
});

test("filters: restart-policy, ancestor, volume, network, exited, label!, before, since, until", async () => {
  assert.equal(await names("--filter", "restart-policy=always"), ["always"]);
  assert.equal(await names("--filter", "restart-policy=unless-stopped"), ["stopped", "unless"]);
  assert.equal(await names("--filter", "restart-policy=on-failure"), ["failure"]);
  assert.equal(await names("--filter", "restart-policy=no"), ["big"]);
  assert.equal(await names("--filter", "volume=data"), ["unless"]);
  assert.equal(await names("--filter", "volume=/d"), ["unless"]);
  assert.is((await names("--filter", "network=none")).length, 5);
  assert.equal(await names("--filter", "exited=3"), ["big"]);
  assert.equal(await names("--filter", "label!=team=red", "--filter", "label=team"), ["always"]);
  assert.equal(await names("--filter", "before=always"), ["big"]);
  assert.equal(await names("--filter", "since=stopped"), ["failure"]);
  assert.is((await names("--filter", "until=0s")).length, 5);
  assert.equal(await names("--filter", "until=1h"), []);
});

test("ancestor finds what was made from images that were made from it", async () => {
  await tsbox("commit", "-q", "big", "child");
  await tsbox("create", "--name", "grown", "child", "true");
  assert.equal(await names("--filter", "ancestor=child"), ["grown"]);
  assert.is((await names("--filter", "ancestor=base")).includes("grown"), true);
  assert.equal(await names("--filter", "ancestor=nothing"), []);
  await tsbox("rm", "grown");
});

test("a filter that no container can pass is a slip", async () => {
  for (const [filter, why] of [
    ["status=sleeping", /expected created, restarting/],
    ["exited=x", /expected a number/],
    ["before=nobody", /Cannot filter by container "nobody"/],
    ["health=fine", /expected starting/],
    ["restart-policy=often", /expected no, always/],
  ] as const) {
    const { code, stderr } = await tsbox("ps", "--filter", filter);
    assert.is(code, 1, filter);
    assert.match(stderr, why);
  }
});

test("--sort, --noheading, -n and -l", async () => {
  assert.equal(await names("--sort", "names"), ["always", "big", "failure", "stopped", "unless"]);
  assert.equal(await names("--sort", "created"), ["big", "always", "unless", "stopped", "failure"]);
  assert.is((await names("--sort", "size")).at(-1), "big");
  assert.equal((await names("--sort", "status")).slice(0, 2).sort(), ["big", "stopped"]);
  assert.equal(await names("-n", "2"), ["failure", "stopped"]);
  assert.equal(await names("-l"), ["failure"]);
  assert.match((await tsbox("ps", "--sort", "weight")).stderr, /expected command, created/);
  assert.not.match((await tsbox("ps", "--noheading")).stdout, /CONTAINER ID/);
});

test("--ns shows the kernel's numbers, and --format any of them", async () => {
  assert.match(
    (await tsbox("ps", "--ns")).stdout,
    /^CONTAINER ID +NAMES +PID +CGROUPNS +IPC +MNT +NET +PIDNS +USERNS +UTS\n/,
  );
  const net = (await tsbox("exec", "always", "readlink", "/proc/self/ns/net")).stdout.trim();
  assert.equal(await names("--filter", "name=always", "--format", "net:[{{.NET}}]"), [net]);
});

test("sizes, in ps and in inspect --size", async () => {
  assert.match((await tsbox("ps", "-as", "--filter", "name=big")).stdout, /9kB \(virtual /);
  const [found] = JSON.parse((await tsbox("inspect", "-s", "big")).stdout) as { SizeRw: number; SizeRootFs: number }[];
  assert.is(found?.SizeRw, 9000);
  assert.ok((found?.SizeRootFs ?? 0) > 9000);
});

test("--watch shows the list again", async () => {
  const watching = box.start(["ps", "--watch", "1", "--format", "{{.Names}}", "--filter", "name=always"]);
  let seen = "";
  watching.stdout?.on("data", (data) => {
    seen += data;
  });
  await until(() => seen.split("always").length > 2);
  watching.kill();
});

test("after a reboot, start brings up what its policy says, and nothing else", async () => {
  await tsbox(
    "create",
    "--name",
    "tail",
    "--restart",
    "always",
    "--network",
    "container:always",
    "base",
    "sleep",
    "600",
  );
  await tsbox("start", "tail");
  const ids = new Map<string, string>();
  for (const name of ["always", "unless", "failure", "tail"]) ids.set(name, await field(name, "{{.Id}}"));
  const events = (name: string) => join(box.env.TSBOX_ROOT ?? "", "containers", ids.get(name) ?? "", "events");
  // the machine goes down: nobody writes a last word, and pids are those of another boot
  for (const name of ids.keys()) {
    process.kill(Number(await field(name, "{{.State.MonitorPid}}")), "SIGKILL");
    const pid = await field(name, "{{.State.Pid}}");
    if (pid !== "0") process.kill(Number(pid), "SIGKILL");
    const text = readFileSync(events(name), "utf8");
    assert.match(text, /"boot":"[0-9a-f-]{36}"/);
    writeFileSync(
      events(name),
      text.replace(/"boot":"[0-9a-f-]{36}"/g, '"boot":"00000000-0000-4000-8000-000000000000"'),
    );
  }
  assert.is((await tsbox("ps", "-q")).stdout, "");
  assert.is(await field("always", "{{.State.Status}} {{.State.Reason}}"), "exited lost");
  assert.equal(await names("--filter", "should-start-after-boot=true"), ["tail", "unless", "always"]);
  assert.is((await tsbox("start", "--all", "--filter", "restart-policy=always")).stderr, "");
  assert.equal((await tsbox("ps", "--format", "{{.Names}}")).stdout, "tail\nalways\n");
  assert.is((await tsbox("start", "--filter", "should-start-after-boot=true")).code, 0);
  assert.equal((await tsbox("ps", "--format", "{{.Names}}")).stdout, "tail\nunless\nalways\n");
  assert.is((await tsbox("exec", "tail", "true")).code, 0);
});

test("a process that has the pid of another boot's is not taken for it", async () => {
  // it runs, but the record's boot is not this one: as after a reboot that gave its pid and start to somebody else
  const id = await field("always", "{{.Id}}");
  const path = join(box.env.TSBOX_ROOT ?? "", "containers", id, "events");
  const text = readFileSync(path, "utf8");
  writeFileSync(path, text.replace(/"boot":"[0-9a-f-]{36}"/g, '"boot":"00000000-0000-4000-8000-000000000000"'));
  assert.is(await field("always", "{{.State.Status}} {{.State.Pid}}"), "exited 0");
  writeFileSync(path, text);
  assert.is(await field("always", "{{.State.Status}}"), "running");
});

test.run();
