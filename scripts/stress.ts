/**
 * Many runs, some of them ended by SIGKILL at a random moment; afterwards no process, mount, folder or file may be left of them.
 *
 * usage: stress [RUNS [KILLS [SEED]]] (1000 20): `make stress`. The last line tells what was done; the exit status is 1 if something was left. A SEED gives the same
 * kinds of runs and moments again.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { lutimesSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const [RUNS = 1000, KILLS = 20, SEED = Date.now() % 1_000_000] = process.argv.slice(2).map(Number);
const AT_ONCE = 4;
const SETTLE = 10_000;
const tsbox = resolve(import.meta.dirname, "../dist/tsbox");

/** Everything of a run has this folder's name in its command line or its mounts. */
const folder = mkdtempSync(join(tmpdir(), "tsbox-stress-"));
const env = { ...process.env, HOME: folder, TMPDIR: join(folder, "tmp"), TSBOX_ROOT: join(folder, "store") };
mkdirSync(env.TMPDIR);

const KINDS: string[][] = [
  ["--rm", "base", "true"],
  ["--rm", "--init", "base", "sh", "-c", "sleep 0.05"],
  ["--rm", "-d", "base", "sh", "-c", "sleep 0.05"],
  ["--rm", "-v", "/data", "base", "sh", "-c", "echo x > /data/x"],
  ["--rm", "--tmpfs", "/t", "--read-only", "base", "sh", "-c", "echo x > /t/x"],
  ["--rm", "-t", "base", "sh", "-c", "sleep 0.1 & sleep 0.05"],
  ["--rm", "--storage-opt", "size=1m", "base", "touch", "/x"],
  ["--rm", "--userns", "keep-id", "base", "id"],
  ["--rm", "base", "sh", "-c", "mkdir /a && touch /a/b && chown -R 1:1 /a"],
  ["--name", "one", "--replace", "base", "true"],
];

/** A small generator of random numbers (mulberry32), so that a failure can be had again. */
let state = SEED;
function random(): number {
  state = (state + 0x6d2b79f5) | 0;
  let t = Math.imul(state ^ (state >>> 15), 1 | state);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
}

function command(...words: string[]): string {
  return execFileSync(tsbox, words, { env, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] });
}

function ended(child: ChildProcess): Promise<{ code: number | null; stderr: string }> {
  let stderr = "";
  child.stderr?.on("data", (data) => {
    stderr += data;
  });
  return new Promise((done) => child.on("close", (code) => done({ code, stderr })));
}

/** What of the store and the folders beside it there is that runs make: paths, two levels deep. */
function files(): Set<string> {
  const found = new Set<string>();
  const list = (path: string, depth: number) => {
    let names: string[] = [];
    try {
      names = readdirSync(path);
    } catch {
      return; // a file, or gone meanwhile
    }
    for (const name of names) {
      found.add(join(path, name).slice(folder.length + 1));
      if (depth > 1) list(join(path, name), depth - 1);
    }
  };
  list(folder, 4);
  return found;
}

function readable(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

/** Processes that were started here, or that have a container's mounts. */
function processes(): string[] {
  return readdirSync("/proc")
    .filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid)
    .filter((pid) => ["cmdline", "mountinfo"].some((file) => readable(`/proc/${pid}/${file}`).includes(folder)))
    .map((pid) => `${pid} ${readable(`/proc/${pid}/cmdline`).replaceAll("\0", " ")}`);
}

async function settled<T>(look: () => T[]): Promise<T[]> {
  const deadline = Date.now() + SETTLE;
  for (;;) {
    const found = look();
    if (found.length === 0 || Date.now() > deadline) return found;
    await sleep(100);
  }
}

/** What is younger than a minute may still be in the making; nothing is now. */
function makeOlder(): void {
  const past = new Date(Date.now() - 120_000);
  for (const kind of ["containers", "names"]) {
    for (const name of readdirSync(join(env.TSBOX_ROOT, kind)))
      lutimesSync(join(env.TSBOX_ROOT, kind, name), past, past);
  }
}

const failures: string[] = [];
let killed = 0;
let next = 0;

function notYetIn(numbers: Set<number>, first: number): number {
  return numbers.has(first) ? notYetIn(numbers, first + 1) : first;
}

async function worker(kills: Set<number>): Promise<void> {
  while (next < RUNS) {
    const number = next++;
    // a name is one container's: those two would end each other
    const kind = KINDS[Math.floor(random() * KINDS.length)] as string[];
    const words = kind.map((word) => (word === "one" ? `one-${number}` : word));
    const moment = random() * 60;
    const child = spawn(tsbox, ["run", ...words], { env, stdio: ["ignore", "ignore", "pipe"] });
    const end = ended(child);
    if (kills.has(number)) {
      await sleep(moment);
      if (child.kill("SIGKILL")) killed++;
      else kills.add(notYetIn(kills, next)); // it was faster: another one is killed instead
      await end;
      continue;
    }
    const { code, stderr } = await end;
    if (code !== 0) failures.push(`run ${words.join(" ")}: ${code} ${stderr.trim()}`);
    if (words[0] === "--name") command("rm", "-f", words[1] as string);
  }
}

try {
  command("run", "--rm", "-v", "/data", "base", "true");
  command("run", "--rm", "--userns", "keep-id", "base", "true");
  const before = files();
  const kills = new Set<number>();
  while (kills.size < Math.min(KILLS, RUNS)) kills.add(Math.floor(random() * RUNS));
  const began = performance.now();
  await Promise.all(Array.from({ length: AT_ONCE }, () => worker(kills)));
  const seconds = (performance.now() - began) / 1000;
  const alive = await settled(processes);
  // what killed processes left is removed by verbs that change the store
  command("rm", "-f", "-a");
  makeOlder();
  command("image", "prune", "-f");
  const left = [...files()].filter(
    (path) => !before.has(path) && !/^store\/(journal|cache\/seccomp|kept$|kept\/[0-9a-f]{2}(\.new)?$)/.test(path),
  );
  const mounts = readable("/proc/self/mountinfo")
    .split("\n")
    .filter((line) => line.includes(folder));
  const problems = [
    ...failures,
    ...alive.map((line) => `process left: ${line}`),
    ...left.map((path) => `file left: ${path}`),
    ...mounts.map((line) => `mount left: ${line}`),
  ];
  for (const problem of problems) console.log(problem);
  console.log(`${RUNS} runs in ${seconds.toFixed(1)} s, ${killed} killed, ${problems.length} problems (seed ${SEED})`);
  process.exitCode = problems.length > 0 ? 1 : 0;
} finally {
  try {
    command("rm", "-f", "-a");
    rmSync(folder, { recursive: true, force: true });
  } catch {
    execFileSync(tsbox, ["unshare", "rm", "-rf", folder], { env });
  }
}
