/** Processes, descriptors, capabilities, names and IPC. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { TSBOX, workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";
import { attack, hostileFolder, outcomes } from "./attack.ts";

const able = need("user-namespace", test);
const box = workspace();
let folder = "";
test.before(() => {
  folder = hostileFolder(box);
});
test.after(() => box[Symbol.asyncDispose]());
const shell = (script: string, ...flags: string[]) => box.tsbox("run", "--rm", ...flags, "base", "sh", "-c", script);

able("a container cannot see host processes", async () => {
  const { stdout } = await shell("ls /proc | grep -c '^[0-9]'; cat /proc/1/cmdline; :");
  assert.ok(Number(stdout.split("\n")[0]) <= 4, stdout);
  assert.match(stdout, /ls \/proc/);
});

able("a container gets descriptors 0, 1 and 2 only", async () => {
  for (const flags of [[], ["--init"], ["-t"], ["-i"]]) {
    assert.is((await attack(box, folder, flags, "descriptors")).stdout.trim(), "0 1 2", flags.join());
  }
});

able("a program of exec gets descriptors 0, 1 and 2 only", async () => {
  await box.tsbox("run", "-d", "--name", "open", "-v", `${folder}:/h:ro`, "base", "sleep", "60");
  assert.is((await box.tsbox("exec", "open", "/h/attack", "descriptors")).stdout.trim(), "0 1 2");
  await box.tsbox("rm", "-f", "open");
});

able("pid 1 of --init cannot be overwritten through /proc/1/exe", async () => {
  const flags = ["--init", "--cap-add", "ALL", "--security-opt", "seccomp=unconfined"];
  const { stdout } = await attack(box, folder, flags, "overwrite");
  assert.not.match(stdout, /writable|chmod 1 ok/);
});

able("a program that names /proc/self/exe as its interpreter does not get the helper's file", async () => {
  // CVE-2019-5736: while such a program is executed, a process inside watches for a link to a file of the host
  const script = join(folder, "self");
  writeFileSync(script, "#!/proc/self/exe\n");
  chmodSync(script, 0o755);
  const watch =
    "touch /tmp/seen; while :; do for e in /proc/[0-9]*/exe; do readlink $e; done | grep tsbox >> /tmp/seen; done";
  await box.tsbox("run", "-d", "--name", "watched", "-v", `${folder}:/h:ro`, "base", "sh", "-c", watch);
  for (let round = 0; round < 12; round++) {
    assert.is((await box.tsbox("exec", "watched", "/h/self")).code, 126);
    assert.is((await box.tsbox("run", "--rm", "-v", `${folder}:/h:ro`, "base", "/h/self")).code, 126);
  }
  const { stdout } = await box.tsbox("exec", "watched", "sort", "-u", "/tmp/seen");
  await box.tsbox("rm", "-f", "watched");
  assert.not.match(stdout, /helper/);
  assert.match(stdout, /^(\/memfd:tsbox-exec \(deleted\)\n)?$/);
});

able("no new privileges, and no capability outside Docker's default set", async () => {
  const { stdout } = await shell("grep -E 'Cap(Bnd|Eff)|NoNewPrivs|Seccomp:' /proc/self/status");
  assert.match(stdout, /CapEff:\t00000000a80425fb/);
  assert.match(stdout, /CapBnd:\t00000000a80425fb/);
  assert.match(stdout, /NoNewPrivs:\t1/);
  assert.match(stdout, /Seccomp:\t2/);
});

able("--cap-drop ALL leaves none", async () => {
  const { stdout } = await shell("grep Cap /proc/self/status", "--cap-drop", "ALL");
  assert.not.match(stdout, /[1-9a-f]$/m);
});

able("another user holds no capability", async () => {
  assert.match((await shell("grep CapEff /proc/self/status", "-u", "1000")).stdout, /CapEff:\t0+$/m);
});

able("abstract sockets of the host are out of reach", async () => {
  const name = `tsbox-isolation-${process.pid}`;
  const server = createServer().listen(`\0${name}`);
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    assert.is((await attack(box, folder, [], "abstract", name)).stdout, "abstract ECONNREFUSED\n");
  } finally {
    server.close();
  }
});

able("a network of its own has only lo, and the host's loopback is out of reach", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as { port: number };
  try {
    const { stdout } = await shell(
      `tail -n +3 /proc/net/dev | cut -d: -f1; nc -w 1 127.0.0.1 ${port} </dev/null && echo reached`,
    );
    assert.is(stdout.trim(), "lo");
  } finally {
    server.close();
  }
});

able("a container cannot name itself anew, nor write the host's settings", async () => {
  const { stdout } = await shell(
    "hostname evil; for f in kernel/core_pattern kernel/hostname vm/swappiness; do echo x > /proc/sys/$f && echo wrote; done; :",
  );
  assert.is(stdout, "");
});

able("IPC objects and keys of the host are out of reach, also without a filter", async () => {
  const allow = join(box.dir, "allow.json");
  writeFileSync(allow, '{ "defaultAction": "SCMP_ACT_ALLOW" }');
  const all = ["--cap-add", "ALL"];
  const noKey = ({ stdout, stderr }: { stdout: string; stderr: string }) => {
    assert.match(stdout, /^search E/m, stderr);
    assert.not.match(stdout, / ok$/m);
  };
  const loggedIn = (...words: string[]) => box.program(join(folder, "attack"), ["log-in", ...words]);
  const number = String(0x5b0000 + (process.pid & 0xffff));
  const host = spawn(join(folder, "attack"), ["make-ipc", number], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(host, "exit");
  let made = "";
  // the key is the last that it makes
  for await (const line of createInterface({ input: host.stdout })) {
    made += `${line}\n`;
    if (line.startsWith("key ")) break;
  }
  try {
    assert.match(made, /^key ok$/m);
    assert.match((await loggedIn(join(folder, "attack"), "keys")).stdout, / ok$/m);
    const filters = ["unconfined", allow].map((name) => [...all, "--security-opt", `seccomp=${name}`]);
    for (const flags of [[], ...filters]) {
      const { stdout } = await attack(box, folder, flags, "ipc", number);
      assert.equal(outcomes(stdout), { shm: "ENOENT", sem: "ENOENT", msg: "ENOENT", mq: "ENOENT" });
      const search = ["-v", `${folder}:/h:ro`, "base", "/h/attack", "keys"];
      noKey(await loggedIn(TSBOX, "run", "--rm", ...flags, ...search));
    }
    for (const [flags, more] of [
      [[], ["--privileged"]],
      [["--security-opt", "seccomp=unconfined"], []],
    ] as const) {
      await box.tsbox("run", "-d", "--name", "keyless", "-v", `${folder}:/h:ro`, ...flags, "base", "sleep", "100");
      noKey(await loggedIn(TSBOX, "exec", ...more, "keyless", "/h/attack", "keys"));
      await box.tsbox("rm", "-f", "keyless");
    }
  } finally {
    host.stdin.end("x");
    await ended;
  }
});

able("setuid files and capabilities of files give nothing", async () => {
  await box.tsbox(
    "run",
    "--name",
    "suid",
    "-v",
    `${folder}:/h:ro`,
    "base",
    "sh",
    "-c",
    "cp /h/attack /suid; chmod 4755 /suid",
  );
  await box.tsbox("commit", "suid", "suid:1");
  const plain = await box.tsbox("run", "--rm", "-u", "1000", "suid:1", "/suid", "gains");
  assert.is(plain.stdout, "euid 1000 effective 000000000\n");
  const loose = ["--security-opt", "no-new-privileges=false"];
  const gained = await box.tsbox("run", "--rm", "-u", "1000", ...loose, "suid:1", "/suid", "gains");
  assert.match(gained.stdout, /euid 0 effective 0*a80425fb/, "never more than the bounding set");
  const dropped = await box.tsbox(
    "run",
    "--rm",
    "-u",
    "1000",
    "--cap-drop",
    "ALL",
    ...loose,
    "suid:1",
    "/suid",
    "gains",
  );
  assert.is(dropped.stdout, "euid 0 effective 000000000\n");
});

able("pid 1 of --init is under the filter as well", async () => {
  // from the program's first moment on: what traces an unfiltered pid 1 has all that tsbox has there
  for (let round = 0; round < 10; round++) {
    const { stdout } = await attack(box, folder, ["--init", "--cap-add", "SYS_PTRACE"], "trace-init");
    assert.match(stdout, /filter 2/);
  }
  const status = await shell("exit 7", "--init");
  assert.is(status.code, 7);
});

able("only safe device nodes are there", async () => {
  const { stdout } = await shell("find /dev -type c -o -type b | sort");
  const safe = ["full", "null", "pts/ptmx", "random", "tty", "urandom", "zero"];
  assert.equal(
    stdout.trim().split("\n"),
    safe.map((name) => `/dev/${name}`),
  );
});

able("what holds kernel state in /proc and /sys is hidden", async () => {
  const { stdout } = await shell(
    "cat /proc/keys /proc/timer_list /proc/interrupts /proc/kcore 2>/dev/null | wc -c; ls /sys/firmware /proc/acpi 2>/dev/null | grep -v :; touch /sys/kernel/x && echo wrote; :",
  );
  assert.is(stdout.trim(), "0");
});

need("subids", able)("capabilities of files are bounded as well, and nothing without new privileges", async () => {
  const NET_RAW = "2000";
  const SYS_ADMIN = "200000";
  const make = `cp /h/attack /raw; cp /h/attack /admin; /h/attack setcap /raw ${NET_RAW}; /h/attack setcap /admin ${SYS_ADMIN}; chmod 755 /raw /admin`;
  const made = await box.tsbox("run", "--name", "filecaps", "-v", `${folder}:/h:ro`, "base", "sh", "-c", make);
  assert.is(made.stdout, "setcap ok\nsetcap ok\n");
  await box.tsbox("commit", "-q", "filecaps", "filecaps:1");
  const gains = (program: string, ...flags: string[]) =>
    box.tsbox("run", "--rm", "-u", "1000", ...flags, "filecaps:1", program, "gains");
  const loose = ["--security-opt", "no-new-privileges=false"];
  // by default no file gives anything
  assert.is((await gains("/raw")).stdout, "euid 1000 effective 000000000\n");
  // it does where that was asked for, if it is one of the container's own
  assert.match((await gains("/raw", ...loose)).stdout, /^euid 1000 effective 0*2000\n$/);
  // a program that demands more than there is does not run
  for (const result of [await gains("/raw", ...loose, "--cap-drop", "NET_RAW"), await gains("/admin", ...loose)]) {
    assert.is(result.stdout, "");
    assert.is(result.code, 126);
    assert.match(result.stderr, /Cannot execute "\/(raw|admin)"/);
  }
  // the same by a shell, which has been executed before
  const script = "/raw gains; echo $?";
  const inShell = await box.tsbox(
    "run",
    "--rm",
    "-u",
    "1000",
    ...loose,
    "--cap-drop",
    "NET_RAW",
    "filecaps:1",
    "sh",
    "-c",
    script,
  );
  assert.is(inShell.stdout, "126\n");
  assert.match(inShell.stderr, /Operation not permitted/);
});

need("python3", able)(
  "keystrokes of the caller's terminal cannot be forged, not even where the container has it",
  async () => {
    // a terminal whose other side is the test
    const driver = `import os, pty, sys
pid, master = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
out = b""
while True:
    try:
        piece = os.read(master, 4096)
    except OSError:
        break
    if not piece:
        break
    out += piece
os.waitpid(pid, 0)
sys.stdout.write(out.decode().replace("\\r", ""))`;
    const pushed = async (...flags: string[]) => {
      const words = ["run", "--rm", "-v", `${folder}:/h:ro`, ...flags, "base", "/h/attack", "push-input"];
      return outcomes((await box.program("python3", ["-c", driver, TSBOX, ...words])).stdout);
    };
    // the container's own terminal: whatever is pushed there is its own input
    assert.is((await pushed("-it")).tioclinux, "ENOTTY");
    // without one the caller's is not to be had
    assert.equal(await pushed("-i"), { tiocsti: "ENOTTY", "tiocsti-high": "ENOTTY", tioclinux: "ENOTTY" });
    // but here it is
    const passed = await pushed("-i", "--log-driver", "passthrough");
    assert.is.not(passed.tiocsti, "ok");
    assert.is.not(passed["tiocsti-high"], "ok");
    assert.is.not(passed.tioclinux, "ok");
  },
);

able("who is in a container sees nothing of the host by one that comes to share its processes", async () => {
  const victim = join(box.dir, "victim-of-share");
  writeFileSync(victim, "of the host");
  // root, with all that can be had, looks at whatever comes, as fast as it can
  // each round has a grep of its own: what one has in its buffer when it is killed is gone
  const watch = `>/seen; echo up; while :; do for p in /proc/[2-9]* /proc/[1-9][0-9]*; do cat $p/root${victim} $p/cwd${victim}; readlink $p/exe; done 2>/dev/null | grep -e 'of the host' -e tsbox -e busybox >> /seen; done`;
  await box.tsbox("run", "-d", "--name", "spy", "--privileged", "base", "sh", "-c", watch);
  await until(async () => (await box.tsbox("logs", "spy")).stdout === "up\n");
  for (let round = 0; round < 8; round++) {
    await box.tsbox("run", "--rm", "--pid", "container:spy", "--ipc", "container:spy", "base", "true");
    await box.tsbox("exec", "spy", "true");
  }
  await box.tsbox("stop", "-t", "0", "spy");
  await box.tsbox("cp", "spy:/seen", join(box.dir, "seen"));
  const seen = new Set(readFileSync(join(box.dir, "seen"), "utf8").trim().split("\n"));
  // the stage, which is nameless memory with nothing of the host in it
  seen.delete("/memfd:tsbox-exec (deleted)");
  assert.equal([...seen], ["/bin/busybox"]);
});

able("--pid host shows processes, and opens none of them", async () => {
  const { stdout } = await shell(
    `cat /proc/${process.pid}/comm; cat /proc/${process.pid}/environ; ls /proc/${process.pid}/root; for fd in 0 1 2 20; do readlink /proc/${process.pid}/fd/$fd; done; cat /proc/${process.pid}/maps; echo end`,
    "--pid",
    "host",
    "--privileged",
  );
  assert.is(stdout, `${readFileSync("/proc/self/comm", "utf8")}end\n`);
});

test.run();
