import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { TsboxError } from "../base/error.ts";
import type { HelperEvent, Plan } from "../plan/types.ts";
import { helperPath } from "./locate.ts";
import { type HelperResult, type HelperRun, type Stdio, starterFor } from "./starters.ts";
import { decodeEvent, encodePlan } from "./wire.ts";

export const EVENTS_FD = 4;

/** Starts the helper on a plan that has `eventsFd: EVENTS_FD`, or gives the plan to one that is kept; its events are collected. */
export function startHelper(
  plan: Plan,
  stdio: [Stdio, Stdio, Stdio],
  onEvent?: (event: HelperEvent) => void,
): HelperRun {
  const kept = starterFor(plan, stdio);
  if (kept) return kept.start(plan, stdio, onEvent);
  const planFd = anonymousFile(encodePlan(plan));
  let child: ChildProcess;
  try {
    child = spawn(helperPath(), ["run", "-"], { stdio: [...stdio, planFd, "pipe"] });
  } finally {
    closeSync(planFd);
  }
  const events: HelperEvent[] = [];
  let partial = "";
  (child.stdio[EVENTS_FD] as Readable).setEncoding("utf8").on("data", (text: string) => {
    const lines = (partial + text).split("\n");
    partial = lines.pop() ?? "";
    for (const line of lines) {
      const event = decodeEvent(line);
      if (!event) continue;
      events.push(event);
      onEvent?.(event);
    }
  });
  let stderr = "";
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  const done = new Promise<HelperResult>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => resolve({ code: code ?? (signal ? 128 : 125), events, stderr }));
  });
  const { stdin, stdout } = child;
  // TERM makes the helper end the program and wait for it, unless it passes signals on: the program may not heed them
  const kill = () => void child.kill(plan.signalProxy ? "SIGKILL" : "SIGTERM");
  return { stdin: stdin ?? undefined, stdout: stdout ?? undefined, done, kill };
}

/** Starts a plan that goes to the background, and waits until its program runs; `failed` tells why it does not. */
export function runHelper(
  planPath: string,
  words: string[],
): Promise<{ code: number; failed?: Extract<HelperEvent, { event: "failed" }>; stderr: string }> {
  // what the helper executes on failure says the event, so that we can explain it
  const told = [
    "on-failure",
    "3",
    process.execPath,
    "-e",
    "process.stderr.write(process.argv[1]); process.exitCode = 125",
  ];
  const child = spawn(helperPath(), ["run", planPath, ...words, ...told], { stdio: ["ignore", "ignore", "pipe"] });
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code, signal) => {
      const event = decodeEvent(stderr.trim().split("\n").at(-1) ?? "");
      resolve({
        code: code ?? (signal ? 128 : 125),
        stderr: stderr.trim(),
        ...(event?.event === "failed" && { failed: event }),
      });
    });
  });
}

/** The error of a `failed` event, in the helper's own words; the engine's `explain` makes better ones. */
export function failure(action: string, result: HelperResult): HelperFailure {
  const failed = result.events.find((event) => event.event === "failed");
  const why = failed
    ? `${failed.op}${failed.path ? ` "${failed.path}"` : ""}: ${failed.errno} ${failed.message}`
    : result.stderr.trim() || `the helper ended with status ${result.code}`;
  return new HelperFailure(`Cannot ${action}: ${why}`, failed);
}

/** The helper could not carry out a plan; `event` is its own word on it, if it had one. */
export class HelperFailure extends TsboxError {
  readonly event: Extract<HelperEvent, { event: "failed" }> | undefined;

  constructor(message: string, event?: Extract<HelperEvent, { event: "failed" }>) {
    super(message, { code: "HELPER_FAILED", hint: `run "tsbox doctor" to see what this machine allows` });
    this.event = event;
  }
}

/** What unpacking a layer left to remember. */
export interface Applied {
  entries: number;
  bytes: number;
  /** Owners, modes and devices that could not be set here. */
  deferred: Extract<HelperEvent, { event: "deferred" }>[];
}

/** A hard link of the layer names a file that no layer below has (yet). */
export class MissingLink extends TsboxError {}

/** `apply` at work. */
export interface Applying {
  /** Resolves when the layer is on disk. */
  done: Promise<Applied>;
  kill(): void;
}

/** Starts `apply` with a sink that takes the records. */
export function applyLayer(plan: Plan): Applying & { sink: Writable } {
  const run = startHelper(plan, ["pipe", "pipe", "pipe"]);
  const sink = run.stdin as Writable;
  sink.on("error", () => {}); // the helper's own reason for leaving is in `done`
  return { sink, ...applying(run) };
}

/** Starts `apply`, which reads the records from a descriptor. */
export function applyLayerFrom(input: number, plan: Plan): Applying {
  return applying(startHelper(plan, [input, "pipe", "pipe"]));
}

function applying(run: HelperRun): Applying {
  // apply itself speaks on descriptor 1
  const told: HelperEvent[] = [];
  const lines = createInterface({ input: run.stdout as Readable });
  lines.on("line", (line) => told.push(...[decodeEvent(line) ?? []].flat()));
  const done = run.done.then((result): Applied => {
    result.events.push(...told);
    const applied = result.events.find((event) => event.event === "applied");
    const missing = result.events.find((event) => event.event === "missing-link");
    if (missing) {
      throw new MissingLink(
        `Cannot apply layer: hard link "${missing.path}" names "${missing.link}", which is not there`,
        {
          code: "MISSING_LINK",
        },
      );
    }
    if (result.code !== 0 || !applied) throw failure("apply layer", result);
    return {
      entries: applied.entries,
      bytes: applied.bytes,
      deferred: result.events.filter((event) => event.event === "deferred"),
    };
  });
  done.catch(() => {}); // told to whoever awaits it, be it later
  return { done, kill: run.kill };
}

/** Runs `look` and returns what was found, in the order of the paths. */
export async function lookAt(plan: Plan): Promise<Extract<HelperEvent, { event: "found" }>[]> {
  const run = startHelper(plan, ["ignore", "pipe", "pipe"]);
  const lines: string[] = [];
  createInterface({ input: run.stdout as Readable }).on("line", (line) => lines.push(line));
  const result = await run.done;
  if (result.code !== 0) throw failure("look at the files", result);
  return lines.flatMap((line) => {
    const event = decodeEvent(line);
    return event?.event === "found" ? [event] : [];
  });
}

/** Starts `pack`: `records` is its stream, `done` resolves when the tree was read to its end. */
export function packTree(plan: Plan): { records: Readable; done: Promise<void>; kill(): void } {
  const run = startHelper(plan, ["ignore", "pipe", "pipe"]);
  const records = run.stdout as Readable;
  // once the helper has ended, Node throws away what nobody listens for yet
  records.on("readable", () => {});
  const done = run.done.then((result) => {
    if (result.code !== 0) throw failure("read the files", result);
  });
  done.catch(() => {}); // told to whoever awaits it, be it later
  return { records, done, kill: run.kill };
}

/** Compiles seccomp rule words to BPF instructions. */
export function compileSeccomp(words: string[]): Buffer {
  const result = spawnSync(helperPath(), ["seccomp"], { input: `${words.join("\0")}\0`, maxBuffer: 1 << 20 });
  if (result.status !== 0 || result.stdout.length === 0) {
    throw new TsboxError(
      `Cannot compile seccomp filter: ${result.stderr?.toString().trim() || result.error?.message}`,
      {
        code: "SECCOMP_FAILED",
      },
    );
  }
  return result.stdout;
}

/** One line of `tsbox-helper check`. */
export interface FeatureCheck {
  feature: string;
  ok: boolean;
  errno?: string;
  detail?: string;
  /** What it is for, in a few words. */
  purpose?: string;
}

/** Tries each kernel feature, or those that are named; `folder` is where an overlay's upper would lie. */
export function checkFeatures(folder: string, features: readonly string[] = []): FeatureCheck[] {
  const result = spawnSync(helperPath(), ["check", folder, ...features], { encoding: "utf8" });
  return (result.stdout ?? "")
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as FeatureCheck);
}

/** A nameless file with this content, opened for reading: what it holds is gone with the last descriptor. */
function anonymousFile(content: Buffer): number {
  const folder = mkdtempSync(join(tmpdir(), "tsbox-"));
  const path = join(folder, "plan");
  try {
    const fd = openSync(path, "wx+", 0o600);
    writeSync(fd, content);
    closeSync(fd);
    const reader = openSync(path, "r");
    unlinkSync(path);
    return reader;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
