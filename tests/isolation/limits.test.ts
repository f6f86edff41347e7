/** What a container may use up: processes, descriptors, disk. */
import { closeSync, openSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { has, need } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";
import { attack, hostileFolder } from "./attack.ts";

const able = need(["user-namespace", "not-root"], test);
const ranged = need(["user-namespace", "not-root", "subids"], test);
const box = workspace();
let folder = "";
test.before(() => {
  folder = hostileFolder(box);
});
test.after(() => box[Symbol.asyncDispose]());

const forked = (output: string) => Number(/forked (\d+)/.exec(output)?.[1]);

able("--pids-limit bounds a fork bomb of root", async () => {
  for (const flags of [[], ["--init"], ["--userns", "keep-id"], ["--cap-add", "ALL"]]) {
    const { stdout } = await attack(box, folder, ["--pids-limit", "30", ...flags], "forks");
    assert.match(stdout, /EAGAIN/);
    assert.ok(forked(stdout) < 30, `${flags} ${stdout}`);
  }
});

ranged("--pids-limit bounds all users of a container together", async () => {
  const { stdout } = await attack(box, folder, ["--pids-limit", "30"], "forks-users");
  assert.ok(forked(stdout) > 10 && forked(stdout) < 30, stdout);
});

able("--pids-limit is the container's alone: others have their own, and so has the caller", async () => {
  await box.tsbox(
    "run",
    "-d",
    "--name",
    "full",
    "--pids-limit",
    "3",
    "base",
    "sh",
    "-c",
    "sleep 90 & sleep 90 & echo full; wait",
  );
  await until(async () => (await box.tsbox("logs", "full")).stdout === "full\n");
  assert.is((await box.tsbox("run", "--rm", "--pids-limit", "3", "base", "sh", "-c", "ls & wait; echo ok")).code, 0);
  const { code, stderr } = await box.tsbox("exec", "full", "true");
  assert.is(code, 125);
  assert.match(stderr, /--pids-limit/);
  await box.tsbox("rm", "-f", "full");
});

able("a program of exec counts too, and a limit outlasts a restart", async () => {
  await box.tsbox(
    "run",
    "-d",
    "--name",
    "counted",
    "-v",
    `${folder}:/h:ro`,
    "--pids-limit",
    "30",
    "base",
    "sleep",
    "90",
  );
  await box.tsbox("restart", "-t", "0", "counted");
  const { stdout } = await box.tsbox("exec", "counted", "/h/attack", "forks");
  assert.ok(forked(stdout) < 30, stdout);
  await box.tsbox("rm", "-f", "counted");
});

able("without a word a container has a limit of processes, which inspect and info tell", async () => {
  await box.tsbox("create", "--name", "plain", "base", "true");
  const limit = async (name: string) =>
    (await box.tsbox("inspect", "--format", "{{.HostConfig.PidsLimit}}", name)).stdout.trim();
  assert.is(await limit("plain"), "2048");
  await box.tsbox("create", "--name", "boundless", "--pids-limit", "-1", "base", "true");
  assert.is(await limit("boundless"), "0");
  assert.is((await box.tsbox("info", "--format", "{{.ProcessLimit}}")).stdout.trim(), "user namespace");
});

/** tests/vm has what holds where a cgroup can be had. */
const without = has("cgroup2") ? need("root", test) : able;

without("limits that cannot be held are refused with the reason, not left out", async () => {
  for (const flag of [
    "--memory=100m",
    "-m=100m",
    "--cpus=0.5",
    "--cpuset-cpus=0",
    "--cpu-shares=512",
    "--blkio-weight=20",
  ]) {
    const { code, stdout, stderr } = await box.tsbox("run", "--rm", flag, "base", "echo", "ran");
    assert.is(code, 125, flag);
    assert.is(stdout, "", flag);
    assert.match(stderr, /^tsbox: Cannot limit the container: .*cgroup/, flag);
    assert.match(stderr, /hint: .*version 2/, flag);
  }
  await box.tsbox("create", "--name", "limited", "-m", "100m", "base", "true");
  assert.match((await box.tsbox("start", "limited")).stderr, /Cannot limit the container/);
  // what was wished for can be taken back
  assert.is((await box.tsbox("update", "-m", "0", "limited")).code, 0);
  assert.is((await box.tsbox("start", "limited")).code, 0);
});

able("limits that contradict themselves are refused before anything is made", async () => {
  for (const [flags, reason] of [
    [["--memory-swap", "1g"], /needs --memory/],
    [["-m", "1g", "--memory-swap", "512m"], /cannot be less/],
    [["-m", "1g", "--memory-reservation", "2g"], /cannot be more/],
    [["--cpus", "1", "--cpu-quota", "5000"], /use one/],
    [["--cpus", "none"], /number of processors/],
    [["--cpuset-cpus", "a"], /ranges/],
    [["--memory-swappiness", "10"], /version 2/],
    [["-m", "1g", "--cgroups", "disabled"], /--memory/],
  ] as const) {
    const { code, stderr } = await box.tsbox("run", "--rm", ...flags, "base", "true");
    assert.is(code, 125, flags.join(" "));
    assert.match(stderr, reason, flags.join(" "));
  }
});

able("inspect tells what was asked for, in docker's units", async () => {
  const flags = ["-m", "64m", "--cpus", "1.5", "--cpu-shares", "512", "--cpuset-cpus", "0", "--pids-limit", "99"];
  await box.tsbox("create", "--name", "asked", ...flags, "base", "true");
  const fields = "Memory MemorySwap NanoCpus CpuShares CpusetCpus PidsLimit CgroupnsMode".split(" ");
  const format = fields.map((name) => `{{.HostConfig.${name}}}`).join(" ");
  const { stdout } = await box.tsbox("inspect", "--format", format, "asked");
  assert.is(stdout, "67108864 134217728 1500000000 512 0 99 private\n");
});

able("a program that opens files without end is refused, and nobody else", async () => {
  const { stdout } = await attack(box, folder, ["--ulimit", "nofile=5000:5000"], "opens");
  assert.match(stdout, /opened \d+ EMFILE/);
  closeSync(openSync("/dev/null", "r"));
});

const fill =
  "dd if=/dev/zero of=/filled bs=64k count=400 2>&1; stat -c %s /filled; rm /filled; mkdir /etc/x; echo ok > /etc/x/y; cat /etc/x/y";

able("--storage-opt size bounds what is written to the root", async () => {
  for (const flags of [[], ["--userns", "keep-id", "-u", "0"]]) {
    const { stdout } = await box.tsbox("run", "--rm", "--storage-opt", "size=5m", ...flags, "base", "sh", "-c", fill);
    assert.match(stdout, /No space left/);
    const size = Number(/^(\d+)$/m.exec(stdout)?.[1]);
    assert.ok(size > 4 << 20 && size <= 5 << 20, stdout);
    assert.match(stdout, /^ok$/m);
  }
});

able("--storage-opt size bounds a sandbox of the host", async () => {
  const { stdout } = await box.tsbox(
    "run",
    "--rm",
    "--storage-opt",
    "size=5m",
    "host",
    "sh",
    "-c",
    "cd /tmp; head -c 20M /dev/zero > filled; stat -c %s filled",
  );
  const size = Number(/^(\d+)$/m.exec(stdout)?.[1]);
  assert.ok(size > 4 << 20 && size <= 5 << 20, stdout);
});

able("a container that is kept and has its storage in memory says so, and is not committed as empty", async () => {
  const { stderr } = await box.tsbox("run", "--name", "sized", "--storage-opt", "size=5m", "base", "touch", "/x");
  assert.match(stderr, /in memory/);
  for (const words of [
    ["diff", "sized"],
    ["commit", "sized", "sized:1"],
    ["export", "sized"],
  ]) {
    const { code, stderr } = await box.tsbox(...words);
    assert.is(code, 1, words.join(" "));
    assert.match(stderr, /memory/);
  }
  assert.is((await box.tsbox("start", "-a", "sized")).code, 0);
  assert.is((await box.tsbox("run", "--rm", "--storage-opt", "size=5m", "--rootfs", "/", "true")).code, 125);
});

able("/dev/shm and /dev have an end", async () => {
  const script =
    "head -c 20m /dev/zero > /dev/shm/x; stat -c %s /dev/shm/x; head -c 20m /dev/zero > /dev/x; stat -c %s /dev/x";
  const { stdout } = await box.tsbox("run", "--rm", "--shm-size", "1m", "base", "sh", "-c", script);
  assert.is(stdout, "1048576\n65536\n");
});

test.run();
