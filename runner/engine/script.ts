import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { randomHex } from "../base/random.ts";
import { generateID } from "../container/name.ts";
import { HelperServer } from "../helper/server.ts";
import type { ProcessPlan } from "../plan/build.ts";
import { processEnv } from "../plan/process.ts";
import type { HelperEvent, Plan } from "../plan/types.ts";
import { containerUser } from "./container-user.ts";
import {
  createContainer,
  type Description,
  describeContainer,
  makeShared,
  makeWritable,
  planOf,
} from "./create-container.ts";
import type { Engine } from "./engine.ts";
import { prepareExec } from "./exec.ts";
import { explain } from "./explain.ts";
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
}

/** What all runs of one sandbox share. */
export interface ScriptHost {
  server: HelperServer;
  description: Description;
  /** Folder of the sandbox: what its containers share, and one folder for each run. The server removes it at the end. */
  dir: string;
  runs: number;
}

/** Resolves (and pulls) the image, and starts the helper that all runs of a sandbox go through. */
export async function openHost(engine: Engine, options: RunOptions): Promise<ScriptHost> {
  const description = await describeContainer(engine, { ...options, command: ["true"] });
  const id = generateID();
  const dir = engine.containers.dir(id);
  mkdirSync(join(dir, "runs"), { recursive: true, mode: 0o711 });
  makeShared(engine, dir, description, options.hostname ?? id.slice(0, 12));
  return { server: new HelperServer(description.identity, [dir]), description, dir, runs: 0 };
}

/** One command in a container of its own, which is gone when the promise settles. */
export async function runFresh(host: ScriptHost, argv: string[], input: RunInput): Promise<RunResult> {
  input.signal?.throwIfAborted();
  const { description, dir } = host;
  const writable = join(dir, "runs", String(host.runs++));
  mkdirSync(writable, { mode: 0o711 });
  makeWritable(writable, description);
  const { plan } = planOf(
    { ...description, process: processOf(description, argv, input) },
    randomHex(6),
    { dir, writable },
    {
      stdio: "inherit",
      stdin: input.stdin !== undefined,
      detach: false,
      signalProxy: false,
      dieWithParent: false,
      cleanup: [writable],
    },
  );
  return collect(host.server, plan, `run "${argv[0]}"`, input);
}

/** The sandbox's process with what one run asks for differently. */
function processOf(description: Description, argv: string[], input: RunInput): ProcessPlan {
  const { process, resolved } = description;
  const user = input.user === undefined ? process.user : containerUser(input.user, resolved.lowers);
  return {
    ...process,
    argv,
    user,
    cwd: input.workdir ?? process.cwd,
    env: processEnv(process.env, input.user === undefined ? [] : [`HOME=${user.home}`], envList(input.env)),
  };
}

/** Starts the container that `runInside` enters: an idle pid 1. */
export async function startBox(engine: Engine, host: ScriptHost): Promise<StartedBox> {
  const { plan, record } = await createContainer(
    engine,
    { ...host.description.options, init: true },
    { stdio: "null", signalProxy: false },
  );
  plan.ops = plan.ops.map((op) => (op.op === "exec" ? { op: "exec", argv: [] } : op));
  const run = await host.server.run(plan, undefined);
  if (!(await run.started)) throw failed("start the sandbox", await run.events, await run.stderr);
  // a script that is done with its sandbox must be able to end
  run.unref();
  return { id: record.id };
}

/** One command in a running box. */
export async function runInside(
  engine: Engine,
  host: ScriptHost,
  box: StartedBox,
  argv: string[],
  input: RunInput,
): Promise<RunResult> {
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
    { stdio: "inherit", stdin: input.stdin !== undefined, detach: false, signalProxy: false, dieWithParent: false },
  );
  return collect(host.server, plan, `run "${argv[0]}"`, input);
}

/** Runs a plan whose program talks to us directly, and gathers what it says. */
async function collect(server: HelperServer, plan: Plan, action: string, input: RunInput): Promise<RunResult> {
  const { timeout, signal } = input;
  const run = await server.run({ ...plan, ...(timeout !== undefined && { timeout }) }, input.stdin);
  signal?.addEventListener("abort", run.kill, { once: true });
  if (signal?.aborted) run.kill(); // while it was started
  try {
    const [stdout, stderr, events] = await Promise.all([run.stdout, run.stderr, run.events]);
    signal?.throwIfAborted();
    const exited = events.find((event) => event.event === "exited");
    if (!exited) throw failed(action, events, stderr);
    if (exited.reason === "timeout") {
      throw new TsboxError(`Cannot ${action}: still running after ${timeout} ms`, {
        code: "TIMEOUT",
        hint: "raise `timeout`, or look at what it waits for",
      });
    }
    return { exitCode: exited.code, stdout, stderr };
  } finally {
    signal?.removeEventListener("abort", run.kill);
  }
}

function failed(action: string, told: HelperEvent[], stderr: string): TsboxError {
  const event = told.find((one) => one.event === "failed");
  if (event?.event === "failed") return explain(event);
  return new TsboxError(`Cannot ${action}: ${stderr.trim() || "the helper was killed"}`, { code: "HELPER_FAILED" });
}

function envList(env: Record<string, string> | undefined): string[] {
  return Object.entries(env ?? {}).map(([name, value]) => `${name}=${value}`);
}
