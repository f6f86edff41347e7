import { spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  closeFd,
  getXattr,
  listXattrs,
  lock,
  lockIsFree,
  makePipe,
  makeSocketPair,
  memoryFile,
  openInRoot,
  sendFds,
  sendSignal,
  setXattr,
  tryLock,
  unlock,
  waitForExit,
} from "../../../runner/sys/native.ts";

const directory = mkdtempSync(join(tmpdir(), "tsbox-test-native-"));
const native = new URL("../../../runner/sys/native.ts", import.meta.url).href;

test.after(() => rmSync(directory, { recursive: true }));

/** Field 22 of /proc/PID/stat. */
function startTimeOf(pid: number): string {
  return (
    readFileSync(`/proc/${pid}/stat`, "utf8")
      .replace(/^.*\) /s, "")
      .split(" ")[19] ?? ""
  );
}

function readAll(fd: number): string {
  const buffer = Buffer.alloc(4096);
  const length = readSync(fd, buffer, 0, buffer.length, null);
  return buffer.toString("utf8", 0, length);
}

test("openInRoot() keeps links and .. below the root", () => {
  const root = join(directory, "root");
  mkdirSync(join(root, "etc"), { recursive: true });
  writeFileSync(join(root, "etc/passwd"), "inside");
  symlinkSync("/etc/passwd", join(root, "absolute"));
  symlinkSync("../../../../etc/passwd", join(root, "upwards"));
  for (const path of ["absolute", "upwards", "/etc/passwd", "../../etc/passwd"]) {
    const fd = openInRoot(root, path);
    assert.is(readAll(fd), "inside", path);
    closeSync(fd);
  }
  try {
    openInRoot(root, "missing");
    assert.unreachable();
  } catch (error) {
    assert.is((error as NodeJS.ErrnoException).code, "ENOENT");
    assert.is((error as NodeJS.ErrnoException).path, "missing");
  }
});

test("a lock excludes, is shared, and frees itself", async () => {
  const path = join(directory, "lock");
  assert.ok(lockIsFree(path), "no such file yet");
  const held = tryLock(path);
  assert.type(held, "number");
  assert.is(statSync(path).mode & 0o777, 0o600);
  assert.not(lockIsFree(path));
  assert.is(tryLock(path), undefined);
  assert.is(tryLock(path, "shared"), undefined);
  const waiting = lock(path, "shared");
  unlock(held as number);
  const first = await waiting;
  const second = tryLock(path, "shared") as number;
  assert.is(tryLock(path), undefined);
  unlock(first);
  unlock(second);
  assert.ok(lockIsFree(path));
});

test("a signal goes to the process with that start time only", async () => {
  const child = spawn("sleep", ["60"]);
  const pid = child.pid as number;
  const started = startTimeOf(pid);
  const wrong = String(BigInt(started) + 1n);
  assert.not(sendSignal(pid, wrong, 9));
  assert.ok(await waitForExit(pid, wrong, 0), "another process is as good as none");
  assert.not(await waitForExit(pid, started, 10));
  assert.ok(sendSignal(pid, started, 0));
  const gone = waitForExit(pid, started, 10_000);
  assert.ok(sendSignal(pid, started, 9));
  assert.ok(await gone);
  assert.not(sendSignal(pid, started, 0));
});

test("memoryFile() holds its content, and nobody can change it", () => {
  const fd = memoryFile(Buffer.from("sealed"));
  assert.is(readAll(fd), "sealed");
  assert.throws(() => writeFileSync(`/proc/self/fd/${fd}`, "changed"), /EPERM/);
  closeFd(fd);
  closeFd(memoryFile(new Uint8Array()));
});

test("makePipe() and makeSocketPair() connect, sendFds() passes a descriptor on", () => {
  const [read, write] = makePipe();
  const [left, right] = makeSocketPair();
  writeFileSync(write, "through");
  assert.is(readAll(read), "through");
  sendFds(left, Buffer.from("message"), [read]);
  assert.is(readAll(right), "message");
  assert.throws(() => sendFds(left, Buffer.from("x"), [9999]), /EBADF/);
  for (const fd of [read, write, left, right]) closeFd(fd);
});

test("extended attributes are set, read and listed, of a link itself too", () => {
  const file = join(directory, "attributes");
  writeFileSync(file, "");
  assert.is(getXattr(file, "user.tsbox"), undefined);
  setXattr(file, "user.tsbox", Buffer.from([0, 1, 255]));
  assert.equal([...(getXattr(file, "user.tsbox") ?? [])], [0, 1, 255]);
  assert.ok(listXattrs(file).includes("user.tsbox"));
  const link = join(directory, "link");
  symlinkSync(file, link);
  assert.not(listXattrs(link).includes("user.tsbox"));
  assert.throws(() => setXattr(join(directory, "none"), "user.a", new Uint8Array()), /ENOENT/);
});

test("replaceProcess() gives the program plain descriptors, signals and no others", () => {
  const script = `
    import { openSync } from "node:fs";
    import { replaceProcess } from ${JSON.stringify(native)};
    openSync("/etc/passwd");
    process.on("SIGUSR1", () => {});
    replaceProcess("/bin/sh", ["sh", "-c", "echo pid $$; ls /proc/$$/fd; exec grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"]);
  `;
  const run = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    encoding: "utf8",
  });
  assert.is(run.status, 0, run.stderr);
  assert.match(run.stdout, `pid ${run.pid}\n`);
  assert.match(run.stdout, /SigBlk:\s0+\n/);
  assert.match(run.stdout, /SigIgn:\s0+\n/);
  // What this test's own parent left open is open in any child.
  const usual = spawnSync("/bin/sh", ["-c", "ls /proc/$$/fd"], { encoding: "utf8" }).stdout;
  assert.is(run.stdout.replace(/^pid \d+\n/, "").replace(/Sig[\s\S]*$/, ""), usual);
});

test("replaceProcess() fails with the errno's name when there is no such program", () => {
  const script = `
    import { replaceProcess } from ${JSON.stringify(native)};
    try { replaceProcess("/no/such/program", ["x"]); } catch (error) { console.log(error.code, error.path); }
  `;
  const run = spawnSync(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script], {
    encoding: "utf8",
  });
  assert.is(run.stdout, "ENOENT /no/such/program\n");
});

test("whoever waits for locks leaves Node its threads: the holder may need them", async () => {
  const path = join(directory, "crowd");
  const held = tryLock(path) as number;
  const crowd = Array.from({ length: 8 }, () => lock(path).then(unlock));
  await readFile(new URL(import.meta.url));
  unlock(held);
  await Promise.all(crowd);
  assert.ok(lockIsFree(path));
});

test.run();
