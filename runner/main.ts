/** The entry: runs one command, prints one error, ends the process. */

import type { Context } from "./cli/context.ts";
import { runCommandLine } from "./cli/entry.ts";
import { Restated } from "./cli/verb.ts";

/** A closed terminal is no reason to leave half a file behind either. */
const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** Time for a command to clean up after a signal before the process ends without it. */
const GRACE = 10_000;

/** Only while Node itself works: a container in the foreground has replaced this process, and gets its signals directly. */
let stopping: AbortController | undefined;
let stoppedBy = 0;
for (const [name, number] of Object.entries(SIGNALS)) {
  process.on(name, () => {
    if (stoppedBy !== 0) process.exit(128 + number);
    stoppedBy = number;
    stopping?.abort();
    setTimeout(() => process.exit(128 + number), GRACE).unref();
  });
}

/** Streams that a command has asked for. */
const used = new Set<NodeJS.WriteStream>();

const argv = process.argv.slice(2);
const context: Context = {
  root: undefined,
  debug: false,
  env: process.env,
  cwd: currentDirectory(),
  // streams cost 3 ms to make, and a `run` needs none of them
  get stdout() {
    return watched(process.stdout);
  },
  get stderr() {
    return watched(process.stderr);
  },
  get stdinIsTerminal() {
    return process.stdin.isTTY === true;
  },
  // loading what makes one costs a millisecond, too
  get signal() {
    stopping ??= new AbortController();
    if (stoppedBy !== 0) stopping.abort();
    return stopping.signal;
  },
  now: Date.now,
};

// a fault outside of what a command awaits is still told as one line, never as a stack
for (const kind of ["uncaughtException", "unhandledRejection"]) {
  process.on(kind, (error: unknown) => void report(error).then((code) => process.exit(code)));
}
// Node ends quietly when nothing is left to happen, also while a command still waits: that must not pass for success
process.on("beforeExit", () => {
  if (stoppedBy !== 0) process.exit(128 + stoppedBy);
  process.stderr.write("tsbox: Cannot go on: what the command waits for will not come; this is a fault of tsbox\n");
  process.exit(125);
});
void status().then(async (code) => {
  for (const stream of used) {
    await written(stream);
    if (stream.errored) await lost(stream, stream.errored);
  }
  process.exit(code);
});

async function status(): Promise<number> {
  try {
    const code = await runCommandLine(argv, context);
    return stoppedBy === 0 ? code : 128 + stoppedBy;
  } catch (thrown) {
    if (stoppedBy !== 0) return 128 + stoppedBy;
    const error = thrown instanceof Restated ? thrown.error : thrown;
    const code = await report(error);
    return thrown instanceof Restated ? thrown.exitCode : code;
  }
}

/** What a pipe does not take at once is written later: leaving before that would cut it off. */
function written(stream: NodeJS.WriteStream): Promise<void> | undefined {
  if (stream.writableLength === 0 || stream.destroyed) return undefined;
  return new Promise((resolve) => stream.write("", () => resolve()));
}

function watched(stream: NodeJS.WriteStream): NodeJS.WriteStream {
  if (used.has(stream)) return stream;
  used.add(stream);
  return stream.on("error", (error) => void lost(stream, error));
}

/** The reader went away, as in "tsbox ps | head -1": nobody is left to be told. On a full disk a script must not take half of a result for all. */
async function lost(stream: NodeJS.WriteStream, error: NodeJS.ErrnoException): Promise<never> {
  if (error.code === "EPIPE") process.exit(141);
  if (stream !== process.stderr) await report(error);
  process.exit(125);
}

async function report(error: unknown): Promise<number> {
  try {
    const { errorText, statusOf } = await import("./cli/print-error.ts");
    process.stderr.write(errorText(error, debugAsked()));
    return statusOf(error);
  } catch {
    // the package went away while it ran: a fault here would be reported again, for ever
    process.stderr.write(`tsbox: ${error instanceof Error ? error.message : String(error)}\n`);
    return 125;
  }
}

/** The error may be that the flags cannot be read, so the words themselves are looked at. */
function debugAsked(): boolean {
  const end = argv.indexOf("--");
  return argv.slice(0, end < 0 ? argv.length : end).includes("--debug");
}

function currentDirectory(): string {
  try {
    return process.cwd();
  } catch {
    // It was removed; only relative paths miss it, and threads, which Node does not start there.
    process.chdir("/");
    return "/";
  }
}
