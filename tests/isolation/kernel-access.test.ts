/** Options that open or close doors of the kernel: what they give, and what they cannot. */
import { existsSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";
import { attack, hostileFolder } from "./attack.ts";

const able = need(["user-namespace", "not-root"], test);
const box = workspace();
let folder = "";
test.before(() => {
  folder = hostileFolder(box);
});
test.after(() => box[Symbol.asyncDispose]());
const shell = (script: string, ...flags: string[]) => box.tsbox("run", "--rm", ...flags, "base", "sh", "-c", script);

able("--privileged gives what the caller has, and nothing of the host's kernel", async () => {
  const { stdout } = await shell(
    "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status; ls /sys/firmware | wc -l",
    "--privileged",
  );
  assert.match(stdout, /CapEff:\t000001ffffffffff/);
  assert.match(stdout, /NoNewPrivs:\t0/);
  assert.match(stdout, /Seccomp:\t0/);
  const attacked = await attack(box, folder, ["--privileged"], "unmask");
  assert.match(attacked.stdout, "read /proc/kcore no");
  assert.not.match(attacked.stdout, /^(read|write) .* ok$/m);
  assert.not.match(attacked.stdout, /^(mount-disk|mount-cgroup1|mount-debugfs|climb) ok$/m);
  assert.not.match((await attack(box, folder, ["--privileged"], "devices")).stdout, / ok$/m);
});

able("--privileged mounts inside stay inside", async () => {
  const { code } = await shell("mkdir /m && mount -t tmpfs t /m && grep -q ' /m ' /proc/self/mounts", "--privileged");
  assert.is(code, 0);
  assert.is((await box.program("grep", ["-c", " /m ", "/proc/self/mounts"])).stdout, "0\n");
});

able("--sysctl sets the container's own parameters", async () => {
  const flags = ["net.ipv4.ip_forward=1", "kernel.shmmax=1000000", "fs.mqueue.msg_max=20", "kernel.sem=100 200 30 40"];
  const { stdout, stderr } = await shell(
    "cd /proc/sys; cat net/ipv4/ip_forward kernel/shmmax fs/mqueue/msg_max kernel/sem",
    ...flags.flatMap((flag) => ["--sysctl", flag]),
  );
  assert.is(stdout, "1\n1000000\n20\n100\t200\t30\t40\n", stderr);
});

able("--sysctl refuses what is the host's, and names that lead elsewhere", async () => {
  for (const flag of [
    "vm.swappiness=1",
    "kernel.core_pattern=|/x",
    "kernel.hostname=x",
    "fs.file-max=1",
    "net/../vm/swappiness=1",
    "net.=1",
  ]) {
    const { code, stderr } = await shell("true", "--sysctl", flag);
    assert.is(code, 125, flag);
    assert.match(stderr, /^tsbox: Cannot set sysctl/, flag);
  }
  assert.match((await shell("true", "--sysctl", "vm.swappiness=1")).stderr, /not in a separate kernel namespace/);
  assert.match((await shell("true", "--network", "host", "--sysctl", "net.core.somaxconn=1")).stderr, /host network/);
  assert.match((await shell("true", "--sysctl", "net.ipv4.nothing=1")).stderr, /no such parameter/);
});

able("--device shows a node of the host, and refuses what is none", async () => {
  assert.match((await shell("ls -l /dev/other", "--device", "/dev/zero:/dev/other")).stdout, /^c.* 1, +5 /);
  for (const [flag, words] of [
    ["/dev/nope", /no such file/],
    ["/etc/passwd", /no device/],
    ["/dev/zero:/dev/z:r", /as a whole/],
  ] as const) {
    const { code, stderr } = await shell("true", "--device", flag);
    assert.is(code, 125);
    assert.match(stderr, words);
  }
  if (!["/dev/dri", "/dev/nvidia0", "/dev/kfd", "/dev/dxg"].some((path) => existsSync(path))) {
    assert.match((await shell("true", "--gpus", "all")).stderr, /no \/dev\/nvidia/);
  }
});

able("mask and unmask move the line of what is hidden", async () => {
  assert.is((await shell("ls /sys/firmware", "--security-opt", "mask=/etc")).stdout, "");
  assert.is((await shell("ls /etc", "--security-opt", "mask=/etc")).stdout, "");
  const masked = "grep -c -E ' /proc/(kcore|keys|sys) ' /proc/self/mounts";
  const usual = Number((await shell(masked)).stdout);
  assert.ok(usual >= 2);
  assert.is((await shell(masked, "--security-opt", "systempaths=unconfined")).stdout, "0\n");
  const some = Number((await shell(masked, "--security-opt", "unmask=/proc/k*")).stdout);
  assert.ok(some === 1, `${usual} ${some}`);
});

able("time since boot is time since the container's start, in exec and after a restart too", async () => {
  const seconds = async (...words: string[]) =>
    Number.parseFloat((await box.tsbox(...words, "cat", "/proc/uptime")).stdout);
  const host = Number.parseFloat((await box.program("cat", ["/proc/uptime"])).stdout);
  await box.tsbox("run", "-d", "--name", "young", "base", "sleep", "100");
  assert.ok((await seconds("exec", "young")) < host / 2);
  await box.tsbox("restart", "-t", "0", "young");
  assert.ok((await seconds("exec", "young")) < host / 2);
  await box.tsbox("rm", "-f", "young");
  const { stdout } = await shell("cut -d' ' -f22 /proc/1/stat");
  assert.ok(Number(stdout) < 100, stdout);
});

able("--group-add and --add-host", async () => {
  assert.match((await shell("id -G", "--group-add", "55")).stdout, /\b55\b/);
  assert.match((await shell("true", "--group-add", "nobody-has-this")).stderr, /etc\/group/);
  assert.is(
    (await shell("tail -n 2 /etc/hosts", "--add-host", "db:10.0.0.1", "--add-host", "v6:[::5]")).stdout,
    "10.0.0.1\tdb\n::5\tv6\n",
  );
  assert.is((await shell("true", "--add-host", "db")).code, 125);
});

test.run();
