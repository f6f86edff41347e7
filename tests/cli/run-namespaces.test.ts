/** --network, --pid, --ipc, --uts and --cgroupns: namespaces of the host or of another container, and the files that name things. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const able = need("user-namespace", test);
const box = workspace();
test.after(() => box[Symbol.asyncDispose]());
const tsbox = (...args: string[]) => box.tsbox(...args);
const run = (...args: string[]) => tsbox("run", "--rm", ...args);
const sh = async (script: string, ...flags: string[]) => (await run(...flags, "base", "sh", "-c", script)).stdout;
const field = async (name: string, format: string) => (await tsbox("inspect", "--format", format, name)).stdout.trim();
const inside = async (kind: string, name: string) =>
  (await tsbox("exec", name, "readlink", `/proc/self/ns/${kind}`)).stdout.trim();

able("another container's network, host name and hosts are this one's", async () => {
  await tsbox("run", "-d", "--name", "donor", "-h", "giver", "base", "sleep", "600");
  const net = await inside("net", "donor");
  assert.is(
    await sh("readlink /proc/self/ns/net; hostname; grep -c giver /etc/hosts", "--network", "container:donor"),
    `${net}\ngiver\n1\n`,
  );
  // what is not named is its own
  assert.is.not(
    (await sh("readlink /proc/self/ns/ipc", "--network", "container:donor")).trim(),
    await inside("ipc", "donor"),
  );
});

able("each other namespace can be another container's", async () => {
  for (const [flag, kind] of [
    ["--pid", "pid"],
    ["--ipc", "ipc"],
    ["--uts", "uts"],
    ["--cgroupns", "cgroup"],
  ] as const) {
    const found = await sh(`readlink /proc/self/ns/${kind}`, flag, "container:donor");
    assert.is(found.trim(), await inside(kind, "donor"), flag);
  }
});

able("with the ipc namespace goes /dev/shm, unless that one keeps it for itself", async () => {
  await sh("echo word > /dev/shm/there", "--ipc", "container:donor");
  assert.is((await tsbox("exec", "donor", "cat", "/dev/shm/there")).stdout, "word\n");
  assert.is(await field("donor", "{{.HostConfig.IpcMode}}"), "shareable");
  await tsbox("run", "-d", "--name", "closed", "--ipc", "private", "base", "sleep", "600");
  const { code, stderr } = await run("--ipc", "container:closed", "base", "true");
  assert.is(code, 125);
  assert.match(stderr, /Cannot share the ipc namespace of container "closed": it is private/);
});

able("what shares a pid namespace sees that one's processes, and leaves none of its own there", async () => {
  await tsbox(
    "run",
    "-d",
    "--name",
    "guest",
    "--pid",
    "container:donor",
    "base",
    "sh",
    "-c",
    "(sleep 611 &); sleep 612",
  );
  const ps = async () => (await tsbox("exec", "donor", "ps")).stdout;
  await until(async () => /sleep 611/.test(await ps()));
  assert.match(await ps(), /sleep 612/);
  // its list is its own
  const own = (await tsbox("top", "guest", "-o", "args")).stdout;
  assert.match(own, /sleep 611/);
  assert.not.match(own, /sleep 600/);
  await tsbox("rm", "-f", "guest");
  await until(async () => !/sleep 61/.test(await ps()));
  assert.match(await ps(), /sleep 600/);
});

able("a container's word for another survives that one's restart and new name", async () => {
  await tsbox("run", "-d", "--name", "taker", "--network", "container:donor", "base", "sleep", "600");
  await tsbox("restart", "-t", "0", "donor");
  assert.is.not(await inside("net", "taker"), await inside("net", "donor"));
  await tsbox("rename", "donor", "giver");
  await tsbox("restart", "-t", "0", "taker");
  assert.is(await inside("net", "taker"), await inside("net", "giver"));
  assert.is(await field("taker", "{{.HostConfig.NetworkMode}}"), `container:${await field("giver", "{{.Id}}")}`);
});

able("one that shares with one that shares", async () => {
  assert.is(
    (await sh("readlink /proc/self/ns/net", "--network", "container:taker")).trim(),
    await inside("net", "giver"),
  );
});

able("a container that does not run has nothing to share", async () => {
  await tsbox("stop", "-t", "0", "giver", "taker");
  const id = (await field("giver", "{{.Id}}")).slice(0, 12);
  for (const result of [await run("--network", "container:giver", "base", "true"), await tsbox("start", "taker")]) {
    assert.is.not(result.code, 0);
    assert.match(result.stderr, new RegExp(`Cannot join namespaces of container ${id}: it is not running`));
  }
  const { code, stderr } = await run("--pid", "container:nobody", "base", "true");
  assert.is(code, 125);
  assert.match(stderr, /Cannot find container "nobody"/);
});

able("a restart policy finds the other container as it is then, and waits for one that is not there", async () => {
  await tsbox("start", "giver");
  await tsbox(
    "run",
    "-d",
    "--name",
    "follower",
    "--restart",
    "always",
    "--network",
    "container:giver",
    "base",
    "sleep",
    "600",
  );
  const kill = async () => process.kill(Number(await field("follower", "{{.State.Pid}}")), "SIGKILL");
  await tsbox("restart", "-t", "0", "giver");
  await kill();
  const running = async () => (await field("follower", "{{.State.Status}}")) === "running";
  await until(async () => (await running()) && (await inside("net", "follower")) === (await inside("net", "giver")));
  await tsbox("stop", "-t", "0", "giver");
  await kill();
  await until(async () => Number(await field("follower", "{{.RestartCount}}")) > 1);
  assert.is(await running(), false);
  await tsbox("start", "giver");
  await until(running);
  assert.is(await inside("net", "follower"), await inside("net", "giver"));
  await tsbox("rm", "-f", "follower");
});

able("two user namespaces cannot be entered, nor one with other ids", async () => {
  await tsbox("start", "giver");
  const two = await run("--network", "container:giver", "--ipc", "container:closed", "base", "true");
  assert.match(two.stderr, /Cannot share namespaces with containers "giver" and "closed"|it is private/);
  await tsbox("run", "-d", "--name", "other", "base", "sleep", "600");
  assert.match(
    (await run("--network", "container:giver", "--pid", "container:other", "base", "true")).stderr,
    /each has a user namespace of its own/,
  );
  assert.match(
    (await run("--network", "container:giver", "--userns", "keep-id", "base", "true")).stderr,
    /it has other user ids/,
  );
});

able("one whose other container was removed says so; inspect tells --userns as well", async () => {
  await tsbox("run", "-d", "--name", "leaving", "--userns", "keep-id:uid=7,gid=8", "base", "sleep", "600");
  assert.is(await field("leaving", "{{.HostConfig.UsernsMode}}"), "keep-id:uid=7,gid=8");
  const flags = ["--userns", "keep-id:uid=7,gid=8", "--network", "container:leaving"];
  await tsbox("create", "--name", "left", ...flags, "base", "id", "-u");
  assert.is((await tsbox("start", "-a", "left")).stdout, "7\n");
  await tsbox("rm", "-f", "leaving");
  const { code, stderr } = await tsbox("start", "left");
  assert.is(code, 1);
  assert.match(stderr, /Cannot join namespaces of container [0-9a-f]{12}: it was removed/);
});

able("options that would change somebody else's namespaces are refused", async () => {
  for (const flags of [
    ["--network", "container:giver", "-p", "8080:80"],
    ["--network", "container:giver", "-h", "me"],
    ["--network", "container:giver", "--add-host", "a:1.2.3.4"],
    ["--network", "container:giver", "--dns", "1.2.3.4"],
    ["--uts", "host", "-h", "me"],
    ["--no-hosts", "--add-host", "a:1.2.3.4"],
  ]) {
    const { code, stderr } = await run(...flags, "base", "true");
    assert.is(code, 125, flags.join(" "));
    assert.match(stderr, /conflicting options/);
  }
  assert.match(
    (await run("--ipc", "host", "--sysctl", "kernel.shmmax=1", "base", "true")).stderr,
    /host IPC namespace/,
  );
});

able("the host's own: processes, ipc, name and cgroups", async () => {
  for (const [flag, kind] of [
    ["--pid", "pid"],
    ["--ipc", "ipc"],
    ["--uts", "uts"],
    ["--cgroupns", "cgroup"],
  ] as const) {
    assert.is((await sh(`readlink /proc/self/ns/${kind}`, flag, "host")).trim(), readlinkSync(`/proc/self/ns/${kind}`));
  }
  assert.is(await sh("hostname", "--uts", "host"), `${hostname()}\n`);
  assert.is(
    await sh(`tr '\\0' ' ' < /proc/${process.pid}/comm`, "--pid", "host"),
    readFileSync("/proc/self/comm", "utf8"),
  );
  assert.is(await sh("cat /proc/$PPID/comm", "--pid", "host", "--init"), "init\n");
  // seeing them is all
  const { stderr } = await run(
    "--pid",
    "host",
    "base",
    "sh",
    "-c",
    `ls /proc/${process.pid}/root; echo 1 > /proc/sys/kernel/panic`,
  );
  assert.match(stderr, /Permission denied[\s\S]*Read-only file system/);
});

/** Seconds that nobody else on the machine sleeps for. */
const long = (number: number) => `${100_000 + process.pid}${number}`;

/** Processes of the machine that sleep for so many. */
function sleeping(...seconds: string[]): string[] {
  return readdirSync("/proc").filter((name) => {
    try {
      return /^\d+$/.test(name) && seconds.some((time) => commandLine(name) === `sleep\0${time}\0`);
    } catch {
      return false;
    }
  });
}

function commandLine(pid: string): string {
  return readFileSync(`/proc/${pid}/cmdline`, "latin1");
}

able("pause and stop of one with the host's pid namespace touch its own processes only", async () => {
  const [one, other] = [long(1), long(2)];
  await tsbox("run", "-d", "--name", "wide", "--pid", "host", "base", "sh", "-c", `(sleep ${one} &); sleep ${other}`);
  await until(() => sleeping(one, other).length === 2);
  assert.is((await tsbox("pause", "wide")).code, 0);
  const status = (pid: string) => readFileSync(`/proc/${pid}/status`, "utf8");
  const states = sleeping(one, other).map((pid) => /^State:\s+(\S)/m.exec(status(pid))?.[1]);
  assert.equal(states, ["T", "T"]);
  await tsbox("unpause", "wide");
  await tsbox("stop", "-t", "0", "wide");
  await until(() => sleeping(one, other).length === 0);
  await tsbox("rm", "wide");
});

able("what shares a pid namespace goes with its monitor, too", async () => {
  const [one, other] = [long(3), long(4)];
  for (const init of [[], ["--init"]]) {
    const flags = ["-d", "--name", "orphans", "--pid", "host", ...init];
    await tsbox("run", ...flags, "base", "sh", "-c", `(sleep ${one} &); sleep ${other}`);
    await until(() => sleeping(one, other).length === 2);
    assert.is((await tsbox("exec", "orphans", "true")).code, 0);
    process.kill(Number(await field("orphans", "{{.State.MonitorPid}}")), "SIGKILL");
    await until(() => sleeping(one, other).length === 0);
    await tsbox("rm", "-f", "orphans");
  }
});

able("a program that ends at once leaves nobody in a shared pid namespace", async () => {
  await tsbox("run", "-d", "--name", "donor", "base", "sleep", "600");
  const script = `sleep ${long(5)} & exit 0`;
  for (const flag of ["container:donor", "host"]) {
    for (let round = 0; round < 5; round++) {
      assert.is((await run("--pid", flag, "base", "sh", "-c", script)).code, 0);
      assert.equal(sleeping(long(5)), [], flag);
    }
  }
  await tsbox("rm", "-f", "-t", "0", "donor");
});

able("--dns, --dns-search and --dns-option make resolv.conf; inspect tells them", async () => {
  const flags = [
    "--dns",
    "10.1.2.3",
    "--dns",
    "fe80::1",
    "--dns-search",
    "a.example",
    "--dns-search",
    "b.example",
    "--dns-option",
    "ndots:2",
  ];
  assert.is(
    await sh("cat /etc/resolv.conf", ...flags),
    "search a.example b.example\nnameserver 10.1.2.3\nnameserver fe80::1\noptions ndots:2\n",
  );
  assert.is(await sh("cat /etc/resolv.conf"), "");
  const host = readFileSync("/etc/resolv.conf", "utf8");
  assert.is(await sh("cat /etc/resolv.conf", "--network", "host"), host);
  const servers = host.split("\n").filter((line) => line.startsWith("nameserver "));
  assert.equal(
    (await sh("grep ^nameserver /etc/resolv.conf", "--network", "host", "--dns-search", "."))
      .split("\n")
      .filter(Boolean),
    servers,
  );
  await tsbox(
    "create",
    "--name",
    "named",
    "--domainname",
    "corp.example",
    "-h",
    "web",
    "--add-host",
    "db;db2:10.0.0.5",
    ...flags,
    "base",
    "cat",
    "/etc/hosts",
  );
  assert.is(
    await field(
      "named",
      "{{.HostConfig.Dns}} {{.HostConfig.DnsSearch}} {{.HostConfig.DnsOptions}} {{.HostConfig.ExtraHosts}} {{.Config.Domainname}}",
    ),
    "[10.1.2.3 fe80::1] [a.example b.example] [ndots:2] [db:10.0.0.5 db2:10.0.0.5] corp.example",
  );
  const { stdout } = await tsbox("start", "-a", "named");
  assert.match(stdout, /^127\.0\.1\.1\tweb\.corp\.example web\n10\.0\.0\.5\tdb db2\n$/m);
  assert.is(await sh("cat /proc/sys/kernel/domainname", "--domainname", "corp.example"), "corp.example\n");
  assert.match((await run("--dns", "nonsense", "base", "true")).stderr, /expected an IP address or none/);
});

able(
  "--dns none and --no-hosts leave the image's files, and host-gateway is localhost on the host's network",
  async () => {
    assert.is(await sh("grep -c resolv.conf /proc/mounts", "--dns", "none"), "0\n");
    assert.is(await sh("grep -c /etc/hosts /proc/mounts", "--no-hosts"), "0\n");
    assert.match(
      await sh("cat /etc/hosts", "--network", "host", "--add-host", "box:host-gateway"),
      /^127\.0\.0\.1\tbox$/m,
    );
    assert.match((await run("--add-host", "box:host-gateway", "base", "true")).stderr, /does not lead to the host/);
  },
);

test.run();
