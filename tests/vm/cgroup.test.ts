/**
 * What a container's own cgroup does for it. Needs cgroup v2 and a systemd of the user's that gives one: `make test-vm` runs this in a
 * virtual machine, and any machine that has it runs it with the others.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { has, need } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const able = need(["user-namespace", "not-root", "cgroup-delegation"], test);
const marking = need(["user-namespace", "not-root", "cgroup-delegation", "setfattr", "systemd-run"], test);
const box = workspace();
test.after(() => box[Symbol.asyncDispose]());
const tsbox = (...args: string[]) => box.tsbox(...args);

const MIB = 1 << 20;
const inspect = async (name: string, format: string) =>
  (await tsbox("inspect", "--format", format, name)).stdout.trim();
/** The container's cgroup as the host sees it. */
const folder = async (name: string) => join("/sys/fs/cgroup", await inspect(name, "{{.State.CgroupPath}}"));
const inside = async (name: string, ...files: string[]) =>
  (await tsbox("exec", name, "sh", "-c", `cd /sys/fs/cgroup; cat ${files.join(" ")}`)).stdout.trim().split("\n");
/** Where a process of the host is. */
const groupOf = (pid: string) => readFileSync(`/proc/${pid}/cgroup`, "utf8").trim().replace("0::", "/sys/fs/cgroup");
/** More memory than it may have. */
const GREEDY = "tail /dev/zero";

able("a container sees its own cgroup as the root of all, and cannot write it", async () => {
  const script =
    "cat /proc/self/cgroup; cd /sys/fs/cgroup; cat cgroup.procs | wc -l; cat pids.max; echo 5 > pids.max; mkdir x";
  for (const network of ["none", "host"]) {
    const { stdout, stderr } = await tsbox("run", "--rm", "--network", network, "base", "sh", "-c", script);
    assert.match(stdout, /^0::\/\n[1-4]\n2048\n$/, network);
    assert.is(stderr.match(/Read-only file system/g)?.length, 2, network);
  }
});

able("a privileged one may divide its cgroup, but not lift its own limits", async () => {
  const script =
    "mkdir /sys/fs/cgroup/x && sh -c 'echo $$ > /sys/fs/cgroup/x/cgroup.procs; cat /proc/self/cgroup'; echo max > /sys/fs/cgroup/memory.max; cat /sys/fs/cgroup/memory.max";
  const { stdout, stderr } = await tsbox(
    "run",
    "--name",
    "divided",
    "--privileged",
    "-m",
    "64m",
    "base",
    "sh",
    "-c",
    script,
  );
  assert.match(stdout, /^0::\/x\n/);
  // nsdelegate is an option of the machine's mount
  if (/nsdelegate/.test(readFileSync("/proc/mounts", "utf8"))) {
    assert.is(stdout, `0::/x\n${64 * MIB}\n`);
    assert.match(stderr, /not permitted/);
  }
  await tsbox("rm", "divided");
});

able("limits stand in the cgroup as they were asked for", async () => {
  const flags = [
    "-m",
    "64m",
    "--memory-swap",
    "96m",
    "--memory-reservation",
    "16m",
    "--cpus",
    "0.5",
    "--cpu-shares",
    "2",
  ];
  await tsbox("run", "-d", "--name", "limited", ...flags, "--pids-limit", "50", "base", "sleep", "600");
  assert.equal(
    await inside("limited", "memory.max", "memory.swap.max", "memory.low", "cpu.max", "cpu.weight", "pids.max"),
    [64 * MIB, 32 * MIB, 16 * MIB, "50000 100000", 1, 50].map(String),
  );
});

able("update changes them at once and for the next start", async () => {
  const { code, stderr } = await tsbox(
    "update",
    "-m",
    "128m",
    "--memory-swap",
    "-1",
    "--cpus",
    "0.25",
    "--pids-limit",
    "20",
    "limited",
  );
  assert.is(code, 0, stderr);
  const files = ["memory.max", "memory.swap.max", "cpu.max", "pids.max"];
  const expected = [String(128 * MIB), "max", "25000 100000", "20"];
  assert.equal(await inside("limited", ...files), expected);
  await tsbox("restart", "-t", "0", "limited");
  assert.equal(await inside("limited", ...files), expected);
  assert.is(
    await inspect(
      "limited",
      "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}}",
    ),
    `${128 * MIB} -1 250000000 20`,
  );
  await tsbox("update", "--cpu-quota", "5000", "-m", "0", "--memory-swap", "0", "limited");
  assert.equal(await inside("limited", "memory.max", "cpu.max"), ["max", "5000 100000"]);
  assert.match((await tsbox("update", "--memory-swap", "1g", "limited")).stderr, /needs --memory/);
});

able("processor time beyond --cpus is not given", async () => {
  const script = "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; cat /sys/fs/cgroup/cpu.stat";
  const { stdout } = await tsbox("run", "--rm", "--cpus", "0.1", "base", "sh", "-c", script);
  assert.ok(Number(/^nr_throttled (\d+)$/m.exec(stdout)?.[1]) > 0, stdout);
});

able("a fork bomb stays below --pids-limit, with the programs of exec", async () => {
  const bomb = await tsbox("run", "--rm", "--pids-limit", "5", "base", "sh", "-c", "while :; do sleep 600 & done");
  assert.match(bomb.stderr, /can't fork: Resource temporarily unavailable/);
  const five = "for n in 1 2 3 4; do sleep 600 & done; wait";
  await tsbox("run", "-d", "--name", "full", "--pids-limit", "5", "base", "sh", "-c", five);
  const group = await folder("full");
  await until(() => readFileSync(join(group, "pids.current"), "utf8") === "5\n");
  const { code, stderr } = await tsbox("exec", "full", "true");
  assert.is(code, 125);
  assert.match(stderr, /--pids-limit/);
  await tsbox("rm", "-f", "full");
  assert.not(existsSync(group));
});

able("a program that is killed for want of memory is seen as such", async () => {
  const { code } = await tsbox(
    "run",
    "--name",
    "greedy",
    "-m",
    "16m",
    "--memory-swap",
    "16m",
    "base",
    "sh",
    "-c",
    `exec ${GREEDY}`,
  );
  assert.is(code, 137);
  const told = "{{.State.OOMKilled}} {{.State.ExitCode}} {{.State.Reason}}";
  assert.is(await inspect("greedy", told), "true 137 oom");
  assert.match(
    (await tsbox("events", "--since", "1h", "--stream=false", "--format", "{{.Action}}", "-f", "container=greedy"))
      .stdout,
    /^oom$/m,
  );
  // as podman: whichever process it was
  await tsbox(
    "run",
    "--name",
    "parent",
    "-m",
    "16m",
    "--memory-swap",
    "16m",
    "base",
    "sh",
    "-c",
    `${GREEDY}; echo ended; exit 0`,
  );
  assert.is(await inspect("parent", told), "true 0 exit");
  await tsbox("run", "--name", "modest", "-m", "64m", "base", "true");
  assert.is(await inspect("modest", told), "false 0 exit");
  // killed, but not for want of memory
  await tsbox("run", "-d", "--name", "killed", "-m", "64m", "base", "sleep", "600");
  await tsbox("kill", "killed");
  await tsbox("wait", "killed");
  assert.is(await inspect("killed", told), "false 137 signal");
});

able("the restart policy starts it again after that, with its limits", async () => {
  const script = `if [ -e /second ]; then sleep 600; fi; touch /second; exec ${GREEDY}`;
  await tsbox(
    "run",
    "-d",
    "--name",
    "again",
    "--restart",
    "on-failure:2",
    "-m",
    "16m",
    "--memory-swap",
    "16m",
    "base",
    "sh",
    "-c",
    script,
  );
  await until(async () => (await inspect("again", "{{.RestartCount}} {{.State.Status}}")) === "1 running");
  assert.equal(await inside("again", "memory.max"), [String(16 * MIB)]);
  assert.is(await inspect("again", "{{.State.OOMKilled}}"), "false");
  await tsbox("rm", "-f", "again");
});

able("pause is the cgroup's, which a program cannot notice", async () => {
  await tsbox("run", "-d", "--name", "busy", "base", "sh", "-c", "while :; do echo x; sleep 0.05; done");
  const group = await folder("busy");
  assert.is((await tsbox("pause", "busy")).code, 0);
  assert.is(await inspect("busy", "{{.State.Status}} {{.State.PausedBy}}"), "paused cgroup");
  assert.match(readFileSync(join(group, "cgroup.events"), "utf8"), /^frozen 1$/m);
  for (const pid of readFileSync(join(group, "cgroup.procs"), "utf8").trim().split("\n")) {
    assert.not.match(readFileSync(`/proc/${pid}/status`, "utf8"), /^State:\s+T/m);
  }
  const { stdout } = await tsbox("logs", "busy");
  assert.is((await tsbox("logs", "busy")).stdout, stdout);
  assert.is((await tsbox("unpause", "busy")).code, 0);
  await until(async () => (await tsbox("logs", "busy")).stdout.length > stdout.length);
  await tsbox("pause", "busy");
  assert.is((await tsbox("stop", "-t", "1", "busy")).code, 0);
  await tsbox("start", "busy");
  await tsbox("pause", "busy");
  assert.is((await tsbox("kill", "busy")).code, 0);
  await tsbox("wait", "busy");
  await tsbox("start", "busy");
  await tsbox("pause", "busy");
  assert.is((await tsbox("rm", "-f", "busy")).code, 0);
});

able("stats are the cgroup's, and the limit is the container's", async () => {
  const script = "head -c 20m /dev/zero > /dev/shm/x; sleep 600 & while :; do :; done";
  await tsbox("run", "-d", "--name", "counted", "-m", "100m", "--cpus", "0.3", "base", "sh", "-c", script);
  const look = async () =>
    JSON.parse((await tsbox("stats", "--no-stream", "--format", "json", "counted")).stdout) as Record<
      string,
      string | number
    >;
  await until(async () => Number.parseFloat(String((await look()).MemUsage)) > 19);
  const seen = await look();
  assert.match(String(seen.MemUsage), /^2\d(\.\d+)?MiB \/ 100MiB$/);
  assert.is(seen.PIDs, 2);
  const cpu = Number.parseFloat(String(seen.CPUPerc));
  assert.ok(cpu > 1 && cpu < 60, String(seen.CPUPerc));
});

able("a program of exec is in the container's cgroup, wherever it is called from", async () => {
  await tsbox("exec", "-d", "counted", "sleep", "654");
  const group = await folder("counted");
  const pids = () => readFileSync(join(group, "cgroup.procs"), "utf8").trim().split("\n");
  await until(() => pids().some((pid) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes("654")));
  // and whoever looks after it is not
  const monitor = await inspect("counted", "{{.State.MonitorPid}}");
  assert.is(groupOf(monitor), join(group, "../tsbox.callers"));
  assert.is(groupOf(await inspect("counted", "{{.State.Pid}}")), group);
});

able("so is a health check", async () => {
  const check = "cat /proc/self/cgroup > /tmp/seen; sleep 600";
  await tsbox(
    "run",
    "-d",
    "--name",
    "checked",
    "--health-cmd",
    check,
    "--health-interval",
    "1s",
    "base",
    "sleep",
    "600",
  );
  await until(async () => (await tsbox("exec", "checked", "cat", "/tmp/seen")).stdout === "0::/\n");
  await tsbox("rm", "-f", "checked");
});

able("a limit whose controller is not there is refused, with what to enable", async () => {
  const controllers = readFileSync(join(await folder("counted"), "../cgroup.controllers"), "utf8").split(/\s+/);
  for (const [controller, flags, file] of [
    ["cpuset", ["--cpuset-cpus", "0"], "cpuset.cpus"],
    ["cpuset", ["--cpuset-mems", "0"], "cpuset.mems"],
    ["io", ["--blkio-weight", "100"], "io.weight"],
  ] as const) {
    const { code, stdout, stderr } = await tsbox("run", "--rm", ...flags, "base", "cat", `/sys/fs/cgroup/${file}`);
    if (controllers.includes(controller) && code === 0) continue;
    assert.is(code, 125);
    assert.is(stdout, "");
    assert.match(stderr, new RegExp(`Cannot limit the container by ${file}: .*\\nhint: .*Delegate=cpu cpuset`));
  }
  const changed = await tsbox("update", "--cpuset-cpus", "9999", "counted");
  assert.is(changed.code, 1);
  assert.match(changed.stderr, /cpuset\.cpus/);
});

able("--cgroups disabled leaves it where its caller is", async () => {
  await tsbox("run", "-d", "--name", "plain", "--cgroups", "disabled", "--pids-limit", "30", "base", "sleep", "600");
  assert.is(await inspect("plain", "{{.State.CgroupPath}}{{.HostConfig.Cgroups}}"), "disabled");
  assert.is(groupOf(await inspect("plain", "{{.State.Pid}}")), groupOf("self"));
  assert.match((await tsbox("update", "-m", "64m", "plain")).stderr, /--cgroups disabled/);
  await tsbox("pause", "plain");
  assert.is(await inspect("plain", "{{.State.PausedBy}}"), "signals");
  await tsbox("rm", "-f", "plain");
});

able("nothing is left of it, however it ends", async () => {
  await tsbox("run", "-d", "--name", "ends", "base", "sleep", "600");
  const ended = await folder("ends");
  assert.ok(existsSync(ended));
  await tsbox("stop", "-t", "0", "ends");
  await until(() => !existsSync(ended));
  await tsbox("start", "ends");
  const lost = await folder("ends");
  process.kill(Number(await inspect("ends", "{{.State.MonitorPid}}")), "SIGKILL");
  await until(() => !existsSync(lost));
  // systemd removes the unit when nobody is in it
  await until(() => !existsSync(join(lost, "..")));
  assert.is(await inspect("ends", "{{.State.Status}} {{.State.CgroupPath}}"), "exited");
});

/** Runs a script in a unit that may be divided, as the user's shell could be in. */
async function inUnit(
  script: string,
  env: NodeJS.ProcessEnv = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const mark = 'setfattr -n user.delegate -v 1 "/sys/fs/cgroup$(cut -d: -f3 /proc/self/cgroup)"';
  const words = ["--user", "--scope", "--quiet", "-p", "Delegate=yes", "sh", "-c", `${mark}; ${script}`];
  return box.program("systemd-run", words, {
    // systemd-run finds the user's systemd by this; tsbox would, too
    env: { XDG_RUNTIME_DIR: `/run/user/${process.getuid?.()}`, ...env },
  });
}

marking("who is in a part that may be divided divides it himself, and asks nobody", async () => {
  const script = `
    own=$(cut -d: -f3 /proc/self/cgroup); echo "unit $own"
    for round in 1 2; do
      $TSBOX run -d --name "part$round" -m 32m base sleep 600 > /dev/null
      $TSBOX inspect --format "path {{.State.CgroupPath}}" "part$round"
      $TSBOX exec "part$round" cat /sys/fs/cgroup/memory.max
      echo "caller $(cut -d: -f3 /proc/self/cgroup)"
    done
    kill -9 $($TSBOX inspect --format "{{.State.MonitorPid}}" part1)
    until [ "$($TSBOX inspect --format "{{.State.Status}}" part1)" = exited ]; do sleep 0.1; done
    ls "/sys/fs/cgroup$own" | grep -c ^tsbox-
    $TSBOX rm -f part2 > /dev/null
    ls -d "/sys/fs/cgroup$own"/tsbox*; $TSBOX rm part1 > /dev/null`;
  const { stdout, stderr } = await inUnit(script, { TSBOX: new URL("../../dist/tsbox", import.meta.url).pathname });
  assert.is(stderr, "");
  const unit = /^unit (.*)$/m.exec(stdout)?.[1] ?? "none";
  const paths = [...stdout.matchAll(/^path (.*)$/gm)].map(([, path]) => path ?? "");
  assert.is(paths.length, 2);
  for (const path of paths) assert.ok(path.startsWith(`${unit}/tsbox-`), path);
  assert.is(stdout.match(/^33554432$/gm)?.length, 2);
  assert.is(stdout.match(/^caller .*\/tsbox\.callers$/gm)?.length, 2);
  // that of the killed monitor lay there until a command swept it
  assert.match(stdout, /^2$/m);
  assert.equal(stdout.trim().split("\n").slice(-1), [`/sys/fs/cgroup${unit}/tsbox.callers`]);
});

able("no unit of ours is left", async () => {
  const names = (await tsbox("ps", "-aq")).stdout.trim().split("\n").filter(Boolean);
  await tsbox("rm", "-f", ...names);
  const uid = process.getuid?.();
  const slice = `/sys/fs/cgroup/user.slice/user-${uid}.slice/user@${uid}.service/app.slice`;
  if (existsSync(slice)) await until(() => !readdirSync(slice).some((name) => name.startsWith("tsbox-")));
  assert.ok(has("cgroup-delegation"));
});

test.run();
