/**
 * The built program, run in a world of its own: a private store, runtime directory and home, so that
 * tests neither see nor leave anything of the user's. `await using box = workspace()` cleans up.
 */
import { type ChildProcess, type SpawnOptions, spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { constants as osConstants, tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";

export const ROOT: string = new URL("../..", import.meta.url).pathname;
export const TSBOX: string = join(ROOT, "dist/tsbox");

export interface Result {
  /** Exit status; 128 + n when ended by signal n. */
  code: number;
  stdout: string;
  stderr: string;
}

export interface RunOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  /** Standard input; without it the program reads end-of-file. */
  input?: string | Uint8Array;
}

export interface Workspace {
  /** Ends what runs, removes everything. */
  [Symbol.asyncDispose](): Promise<void>;
  /** Private folder, for files of the test too; removed at the end whoever owns what is in it. */
  dir: string;
  env: NodeJS.ProcessEnv;
  /** Runs tsbox with these arguments to its end. */
  tsbox(...args: string[]): Promise<Result>;
  /** The same with options. */
  run(args: string[], options?: RunOptions): Promise<Result>;
  /** Starts tsbox and returns the process; ended with the workspace if it still runs. */
  start(args: string[], options?: SpawnOptions): ChildProcess;
  /** Runs any other program in this world's environment. */
  program(command: string, args: string[], options?: RunOptions): Promise<Result>;
}

/** Every test may be run on another storage driver than the one that works here: `TSBOX_STORAGE_DRIVER=copy scripts/test`. */
const DRIVER = "TSBOX_STORAGE_DRIVER";

export function workspace(extra: NodeJS.ProcessEnv = {}): Workspace {
  const dir = mkdtempSync(join(tmpdir(), "tsbox-test-"));
  const env: NodeJS.ProcessEnv = { ...process.env };
  for (const name of Object.keys(env))
    if (/^(TSBOX|XDG|DOCKER|REGISTRY|CONTAINERS)_|^(https?|no|all)_proxy$/i.test(name) && name !== DRIVER)
      delete env[name];
  for (const name of ["home", "run", "tmp"]) mkdirSync(join(dir, name), { mode: 0o700 });
  // what the machine's administrator says of registries is not part of any test
  writeFileSync(join(dir, "registries.conf"), "");
  Object.assign(env, {
    HOME: join(dir, "home"),
    XDG_RUNTIME_DIR: join(dir, "run"),
    TMPDIR: join(dir, "tmp"),
    TSBOX_ROOT: join(dir, "store"),
    CONTAINERS_REGISTRIES_CONF: join(dir, "registries.conf"),
    ...extra,
  });
  const started = new Set<ChildProcess>();
  const program = (command: string, args: string[], options: RunOptions = {}) =>
    runProgram(command, args, { ...options, env: { ...env, ...options.env } });

  return {
    dir,
    env,
    tsbox: (...args) => program(TSBOX, args),
    run: (args, options) => program(TSBOX, args, options),
    program,
    start(args, options = {}) {
      const child = spawn(TSBOX, args, { stdio: "pipe", ...options, env: { ...env, ...options.env } });
      started.add(child);
      child.on("exit", () => started.delete(child));
      return child;
    },
    async [Symbol.asyncDispose]() {
      for (const child of started) child.kill("SIGKILL");
      if (existsSync(join(dir, "store"))) {
        const running = (await program(TSBOX, ["ps", "--all", "--quiet"])).stdout.split("\n").filter(Boolean);
        if (running.length > 0) await program(TSBOX, ["rm", "--force", ...running]);
      }
      await removeTree(dir, (path) => program(TSBOX, ["unshare", "rm", "-rf", path]));
    },
  };
}

/** Runs a program to its end and collects what it wrote. */
export async function runProgram(command: string, args: string[], options: RunOptions = {}): Promise<Result> {
  const child = spawn(command, args, {
    cwd: options.cwd,
    env: options.env ?? process.env,
    stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"],
  });
  const ended = new Promise<number>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve(code ?? 128 + signalNumber(signal)));
  });
  // A program that does not read its input ends before all is written; that is its right.
  child.stdin?.on("error", () => {});
  child.stdin?.end(options.input);
  const [stdout, stderr, code] = await Promise.all([read(child.stdout), read(child.stderr), ended]);
  return { code, stdout, stderr };
}

/** Files of subordinate ids can be removed only inside the user namespace, by `unshare`. */
async function removeTree(dir: string, unshare: (path: string) => Promise<Result>): Promise<void> {
  try {
    rmSync(dir, { recursive: true, force: true });
    return;
  } catch {
    // Some of it is not ours.
  }
  await unshare(dir);
  rmSync(dir, { recursive: true, force: true });
}

function signalNumber(signal: NodeJS.Signals | null): number {
  return signal === null ? 0 : (osConstants.signals[signal] ?? 0);
}

function read(stream: Readable | null): Promise<string> {
  return stream ? text(stream) : Promise.resolve("");
}
