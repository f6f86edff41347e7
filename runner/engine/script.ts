import type { Readable, Writable } from "node:stream";
import { TsboxError } from "../base/error.ts";
import { EVENTS_FD, type HelperRun, startHelper } from "../helper/client.ts";
import type { HelperEvent, Plan } from "../plan/types.ts";
import { sendSignal } from "../sys/native.ts";
import { createContainer } from "./create-container.ts";
import type { Engine } from "./engine.ts";
import { prepareExec } from "./exec.ts";
import { explain } from "./explain.ts";
import { resolveRoot } from "./root-source.ts";
import type { RunOptions } from "./run-options.ts";

/** How one command is run from a script. */
export interface RunInput {
  /** Standard input; without it the command reads end-of-file. */
  stdin?: string | Uint8Array;
  env?: Record<string, string>;
  workdir?: string;
  user?: string;
  /** Milliseconds; then the command is killed and the promise rejects with code `TIMEOUT`. */
  timeout?: number;
  /** Kills the command; the promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

export interface RunResult {
  /** The command's own status, or 128+n when signal n ended it. */
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** A container that lives as long as its script wants. */
export interface StartedBox {
  id: string;
  stop(): Promise<void>;
}

/** Resolves (and pulls) the image, so that later runs find it. */
export async function prepareRoot(engine: Engine, options: RunOptions): Promise<void> {
  await resolveRoot(engine, options, engine.identity(options.userns));
}

/** One command in a container of its own, which is gone when the promise settles. */
export async function runFresh(engine: Engine, options: RunOptions, input: RunInput): Promise<RunResult> {
  input.signal?.throwIfAborted();
  const container = await createContainer(
    engine,
    {
      ...options,
      interactive: input.stdin !== undefined,
      env: [...options.env, ...envList(input.env)],
      ...(input.workdir !== undefined && { workdir: input.workdir }),
      ...(input.user !== undefined && { user: input.user }),
    },
    { stdio: "inherit", eventsFd: EVENTS_FD, dieWithParent: true, signalProxy: false },
  );
  return collect(container.plan, `run "${options.command[0]}"`, input);
}

/** Starts the container that `runInside` enters: an idle pid 1. */
export async function startBox(engine: Engine, options: RunOptions): Promise<StartedBox> {
  const { plan, record } = await createContainer(
    engine,
    { ...options, command: ["true"], init: true },
    { stdio: "null", eventsFd: EVENTS_FD, dieWithParent: true, signalProxy: true },
  );
  plan.ops = plan.ops.map((op) => (op.op === "exec" ? { op: "exec", argv: [] } : op));
  const { run, started } = await untilStarted(plan);
  // the box must not keep a script alive that is done with it
  run.child.unref();
  for (const stream of run.child.stdio) (stream as { unref?(): void } | null)?.unref?.();
  return {
    id: record.id,
    async stop() {
      // its monitor sees the end and removes the files
      sendSignal(started.pid, started.startTime, SIGKILL);
      run.child.ref();
      await run.done;
    },
  };
}

const SIGKILL = 9;

function untilStarted(plan: Plan): Promise<{ run: HelperRun; started: Extract<HelperEvent, { event: "exec" }> }> {
  return new Promise((resolve, reject) => {
    const run = startHelper(plan, ["ignore", "ignore", "pipe"], (event) => {
      if (event.event === "exec") resolve({ run, started: event });
    });
    run.done.then((result) => reject(failed("start the sandbox", result.events, result.stderr)), reject);
  });
}

/** One command in a running box. */
export async function runInside(engine: Engine, box: StartedBox, argv: string[], input: RunInput): Promise<RunResult> {
  input.signal?.throwIfAborted();
  const { plan } = prepareExec(
    engine,
    {
      container: box.id,
      command: argv,
      detach: false,
      interactive: input.stdin !== undefined,
      tty: false,
      env: envList(input.env),
      unsetEnv: [],
      privileged: false,
      ...(input.workdir !== undefined && { workdir: input.workdir }),
      ...(input.user !== undefined && { user: input.user }),
    },
    { stdio: "inherit", stdin: true, detach: false, eventsFd: EVENTS_FD, signalProxy: false, dieWithParent: true },
  );
  return collect(plan, `run "${argv[0]}"`, input);
}

/** Runs a plan whose program talks to us directly, and gathers what it says. */
async function collect(plan: Plan, action: string, input: RunInput): Promise<RunResult> {
  const { child, done } = startHelper({ ...plan, ...(input.timeout !== undefined && { timeout: input.timeout }) }, [
    "pipe",
    "pipe",
    "pipe",
  ]);
  const abort = () => child.kill("SIGTERM");
  input.signal?.addEventListener("abort", abort, { once: true });
  try {
    const stdin = child.stdin as Writable;
    stdin.on("error", () => {}); // a program that does not read its input is its own business
    stdin.end(input.stdin ?? "");
    const [stdout, result] = await Promise.all([text(child.stdout as Readable), done]);
    input.signal?.throwIfAborted();
    const exited = result.events.find((event) => event.event === "exited");
    if (!exited) throw failed(action, result.events, result.stderr);
    if (exited.reason === "timeout") {
      throw new TsboxError(`Cannot ${action}: still running after ${input.timeout} ms`, {
        code: "TIMEOUT",
        hint: "raise `timeout`, or look at what it waits for",
      });
    }
    return { exitCode: exited.code, stdout, stderr: result.stderr };
  } finally {
    input.signal?.removeEventListener("abort", abort);
  }
}

async function text(stream: Readable): Promise<string> {
  let all = "";
  for await (const chunk of stream.setEncoding("utf8")) all += chunk;
  return all;
}

function failed(action: string, told: HelperEvent[], stderr: string): TsboxError {
  const event = told.find((one) => one.event === "failed");
  if (event?.event === "failed") return explain(event);
  return new TsboxError(`Cannot ${action}: ${stderr.trim() || "the helper was killed"}`, { code: "HELPER_FAILED" });
}

function envList(env: Record<string, string> | undefined): string[] {
  return Object.entries(env ?? {}).map(([name, value]) => `${name}=${value}`);
}
