import { TsboxError } from "../base/error.ts";
import { type Engine, openEngine } from "../engine/engine.ts";
import type { RunOptions } from "../engine/run-options.ts";
import {
  openHost,
  type RunInput,
  type RunResult,
  runFresh,
  runInside,
  type ScriptHost,
  type StartedBox,
  startBox,
} from "../engine/script.ts";

export type { RunInput, RunResult } from "../engine/script.ts";

/** What a sandbox is made of. Everything but the image has the defaults of `tsbox run`. */
export interface SandboxOptions {
  /** An image reference, or one of the built-in `base` and `host`. */
  image: string;
  env?: Record<string, string>;
  workdir?: string;
  /** `UID[:GID]` or `NAME[:GROUP]` of the image. */
  user?: string;
  /** Default `none`: loopback only. */
  network?: "none" | "host";
  hostname?: string;
  /** Host folders and files to show inside. */
  binds?: { source: string; target: string; readOnly?: boolean }[];
  readOnly?: boolean;
  capAdd?: string[];
  capDrop?: string[];
  /** Milliseconds that each `run` and `exec` may take. */
  timeout?: number;
  /** Ends what runs, and the sandbox, when aborted. */
  signal?: AbortSignal;
  /** When to ask the registry; default `missing`. */
  pull?: "always" | "missing" | "never" | "newer";
  /** The store's folder; default as the command line's. */
  root?: string;
}

/**
 * A sandbox made from an image. `run` starts each command in a container of its own, fresh from the image: nothing it writes is seen by another, and many
 * may run at once. `exec` runs commands in one container that lives as long as the sandbox: they share files and processes.
 */
export class Sandbox implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #host: ScriptHost;
  readonly #defaults: Pick<RunInput, "timeout" | "signal">;
  #box: Promise<StartedBox> | undefined;
  #closed = false;

  /** Use `sandbox()`. */
  constructor(engine: Engine, host: ScriptHost, defaults: Pick<RunInput, "timeout" | "signal">) {
    this.#engine = engine;
    this.#host = host;
    this.#defaults = defaults;
  }

  /**
   * Runs a command in a fresh container.
   * @example const { stdout } = await box.run(["cat", "/etc/os-release"]);
   */
  async run(argv: string[], input: RunInput = {}): Promise<RunResult> {
    this.#check(argv);
    return runFresh(this.#host, argv, { ...this.#defaults, ...input });
  }

  /**
   * Runs a command in the sandbox's own container, which the first call starts.
   * @example await box.exec(["sh", "-c", "echo hi > /tmp/x"]); await box.exec(["cat", "/tmp/x"]);
   */
  async exec(argv: string[], input: RunInput = {}): Promise<RunResult> {
    this.#check(argv);
    this.#box ??= startBox(this.#engine, this.#host);
    return runInside(this.#engine, this.#host, await this.#box, argv, { ...this.#defaults, ...input });
  }

  /** Ends everything that runs in the sandbox and removes its files. A second call does nothing. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.#host.server.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #check(argv: string[]): void {
    if (this.#closed) throw new TsboxError("Cannot run in sandbox: it was closed", { code: "CLOSED" });
    if (argv.length === 0) throw new TypeError("Cannot run in sandbox: the command is an empty list");
  }
}

/**
 * Makes a sandbox; the image is pulled if it is not in the store.
 * @example
 * await using box = await sandbox({ image: "base" });
 * const { exitCode, stdout } = await box.run(["echo", "hi"]);
 */
export async function sandbox(options: SandboxOptions): Promise<Sandbox> {
  checkKeys(options);
  options.signal?.throwIfAborted();
  const engine = openEngine({ ...(options.root !== undefined && { root: options.root }) });
  const run = runOptions(options);
  const box = new Sandbox(engine, await openHost(engine, run), {
    ...(options.timeout !== undefined && { timeout: options.timeout }),
    ...(options.signal && { signal: options.signal }),
  });
  options.signal?.addEventListener("abort", () => void box.close(), { once: true });
  return box;
}

const KEYS: (keyof SandboxOptions)[] = [
  "image",
  "env",
  "workdir",
  "user",
  "network",
  "hostname",
  "binds",
  "readOnly",
  "capAdd",
  "capDrop",
  "timeout",
  "signal",
  "pull",
  "root",
];

function checkKeys(options: SandboxOptions): void {
  if (typeof options?.image !== "string" || options.image === "") {
    throw new TypeError(`Cannot make sandbox: option "image" must be a non-empty string`);
  }
  for (const key of Object.keys(options)) {
    if (!KEYS.includes(key as keyof SandboxOptions)) {
      throw new TypeError(`Cannot make sandbox: unknown option "${key}", expected one of ${KEYS.join(", ")}`);
    }
  }
}

function runOptions(options: SandboxOptions): RunOptions {
  return {
    source: { image: options.image },
    command: [],
    detach: false,
    interactive: false,
    tty: false,
    env: Object.entries(options.env ?? {}).map(([name, value]) => `${name}=${value}`),
    unsetEnv: [],
    replace: false,
    rm: true,
    network: options.network ?? "none",
    mounts: (options.binds ?? []).map((bind) => ({
      type: "bind",
      source: bind.source,
      target: bind.target,
      readOnly: bind.readOnly ?? false,
      recursive: true,
      createSource: false,
      flags: [],
      overlay: false,
      chown: false,
    })),
    volumesFrom: [],
    // what a run writes there is gone with it, as all it writes
    imageVolumes: "ignore",
    readOnly: options.readOnly ?? false,
    init: false,
    capAdd: options.capAdd ?? [],
    capDrop: options.capDrop ?? [],
    noNewPrivileges: true,
    ulimits: [],
    labels: {},
    pull: options.pull ?? "missing",
    printPlan: false,
    signalProxy: true,
    ...(options.workdir !== undefined && { workdir: options.workdir }),
    ...(options.user !== undefined && { user: options.user }),
    ...(options.hostname !== undefined && { hostname: options.hostname }),
  };
}
