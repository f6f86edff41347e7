import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, read, writeFile } from "node:fs";
import { Socket } from "node:net";
import type { Readable } from "node:stream";
import { promisify } from "node:util";
import { TsboxError } from "../base/error.ts";
import { storePlan } from "../plan/build.ts";
import type { Identity } from "../plan/idmap.ts";
import type { HelperEvent, Plan } from "../plan/types.ts";
import { makePipe, makeSocketPair, memoryFile, sendFds } from "../sys/native.ts";
import { helperPath } from "./locate.ts";
import type { HelperRun, Stdio } from "./starters.ts";
import { decodeEvent, encodePlan } from "./wire.ts";

/** What a program said and how the helper fared. */
export interface ServedRun {
  stdout: Promise<string>;
  stderr: Promise<string>;
  /** Resolves when the program runs; undefined when it never did. */
  started: Promise<Extract<HelperEvent, { event: "exec" }> | undefined>;
  /** Every event, once the run has ended and its files are gone. */
  events: Promise<HelperEvent[]>;
  /** Kills the program. */
  kill(): void;
  /** Lets this process end while the program still runs (and then ends it). */
  unref(): void;
}

const EVENTS_AT = 3;
const CONTROL_AT = 4;
/** A pipe for a layer's records: what does not fit is waited for. */
const INPUT_PIPE = 1 << 20;

/**
 * A helper that keeps a mapped user namespace (`tsbox-helper serve`) and starts plans in namespaces nested in it: a script's sandboxes, or a build's
 * steps, then cost neither a fork of Node nor the two setuid programs each. It ends, with all that it started, when this process does.
 */
export class HelperServer {
  readonly #child: ChildProcess;
  readonly #socket: number;
  readonly #ready: Promise<void>;
  readonly #ended: Promise<void>;

  /** `cleanup`: paths to remove at the end, in the user namespace. */
  constructor(identity: Identity, cleanup: string[] = []) {
    const [ours, theirs] = makeSocketPair();
    const plan = memoryFile(encodePlan({ ...storePlan(identity, [{ op: "finish" }]), cleanup }));
    this.#socket = ours;
    try {
      this.#child = spawn(helperPath(), ["serve", "3", "/proc/self/fd/4"], {
        stdio: ["ignore", "ignore", "pipe", theirs, plan],
      });
    } finally {
      closeSync(theirs);
      closeSync(plan);
    }
    let stderr = "";
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      stderr += text;
    });
    this.#ended = new Promise((resolve) => this.#child.on("close", () => resolve()).on("error", () => resolve()));
    this.#ready = this.#hello(() => stderr);
    this.#ready.catch(() => {}); // told to whoever runs first
    // a script that is done with its sandboxes must be able to end
    this.#child.unref();
    (this.#child.stderr as Readable & { unref?(): void }).unref?.();
  }

  async #hello(stderr: () => string): Promise<void> {
    const { bytesRead } = await promisify(read)(this.#socket, Buffer.alloc(16), 0, 16, null);
    if (bytesRead > 0) return;
    await this.#wait();
    throw new TsboxError(`Cannot start sandboxes: ${stderr().trim() || "the helper ended at once"}`, {
      code: "HELPER_FAILED",
      hint: `"tsbox doctor" tells what this machine lacks`,
    });
  }

  /** Rejects where the helper could not be started. */
  get ready(): Promise<void> {
    return this.#ready;
  }

  /** Starts a plan made for the same identity; `stdin` is what its program reads. */
  async run(plan: Plan, stdin: string | Uint8Array | undefined): Promise<ServedRun> {
    await this.#ready;
    const [stdout, stderr] = [makePipe(), makePipe()];
    const input = stdin === undefined ? undefined : makePipe();
    const theirs = [stdout[1], stderr[1], ...(input ? [input[0]] : [])];
    let request: Request;
    try {
      request = this.#send(plan, { "1": stdout[1], "2": stderr[1], ...(input && { "0": input[0] }) });
    } finally {
      for (const fd of theirs) closeSync(fd);
    }
    if (input) {
      // a program that does not read its input is its own business: EPIPE is no error here
      writeFile(input[1], stdin as string | Uint8Array, () => closeSync(input[1]));
    }
    const [out, err, lines] = [reader(stdout[0]), reader(stderr[0]), reader(request.events)];
    const { started, all } = readEvents(lines);
    return {
      stdout: text(out),
      stderr: text(err),
      started,
      events: all.finally(request.kill),
      kill: request.kill,
      unref() {
        for (const socket of [out, err, lines]) socket.unref();
      },
    };
  }

  /** Starts a plan once `ready` has come: as startHelper() does, but the one that is here has no exit status other than its last event. */
  start(plan: Plan, stdio: [Stdio, Stdio, Stdio], onEvent?: (event: HelperEvent) => void): HelperRun {
    const ours: (number | undefined)[] = [];
    const theirs: number[] = [];
    const given: Record<string, number> = {};
    for (const [index, one] of stdio.entries()) {
      if (one === "ignore") continue;
      if (one !== "pipe") {
        given[index] = one === "inherit" ? index : one;
        continue;
      }
      const [from, to] = makePipe(index === 0 ? INPUT_PIPE : 0);
      ours[index] = index === 0 ? to : from;
      given[index] = index === 0 ? from : to;
      theirs.push(given[index]);
    }
    let request: Request;
    try {
      request = this.#send(plan, given);
    } finally {
      for (const fd of theirs) closeSync(fd);
    }
    const [input, out, err] = ours;
    const stdin = input === undefined ? undefined : new Socket({ fd: input, readable: false, writable: true });
    const stdout = out === undefined ? undefined : reader(out);
    const { all } = readEvents(reader(request.events), onEvent);
    const stderr = err === undefined ? "" : text(reader(err));
    const read = stdout && new Promise<void>((resolve) => stdout.on("close", () => resolve()));
    const done = Promise.all([all, stderr, read]).then(([events, stderr]) => {
      request.kill();
      // whoever has ended reads no more
      stdin?.destroy();
      return { code: exitCode(events), events, stderr };
    });
    return { stdin, stdout, done, kill: request.kill };
  }

  /** Sends a plan with descriptors for its standard ones; they are copied. */
  #send(plan: Plan, given: Record<string, number>): Request {
    const nested = (map: Plan["uidMap"]) => map.map((range) => ({ ...range, outside: range.inside }));
    const { mapTools: _, ...rest } = plan;
    const planFd = memoryFile(
      encodePlan({
        ...rest,
        uidMap: nested(plan.uidMap),
        gidMap: nested(plan.gidMap),
        eventsFd: EVENTS_AT,
        controlFd: CONTROL_AT,
      }),
    );
    const [events, control] = [makePipe(), makePipe()];
    const theirs = [planFd, events[1], control[0]];
    try {
      sendFds(this.#socket, Buffer.from(`pec${Object.keys(given).join("")}`), [...theirs, ...Object.values(given)]);
    } finally {
      for (const fd of theirs) closeSync(fd);
    }
    let open = true;
    const kill = () => {
      if (open) closeSync(control[1]);
      open = false;
    };
    return { events: events[0], kill };
  }

  /** Kills what still runs and waits until its files are removed. */
  async close(): Promise<void> {
    await this.#ready.catch(() => {});
    closeSync(this.#socket);
    await this.#wait();
  }

  /** Until it has ended: this process must not end before. */
  #wait(): Promise<void> {
    this.#child.ref();
    (this.#child.stderr as Readable & { ref?(): void }).ref?.();
    return this.#ended;
  }
}

interface Request {
  /** Where its events come. */
  events: number;
  /** Ends it; also to be called once it has ended. */
  kill: () => void;
}

function reader(fd: number): Socket {
  return new Socket({ fd, readable: true, writable: false });
}

/** What the helper would have exited with. */
function exitCode(events: HelperEvent[]): number {
  for (const event of events) {
    if (event.event === "failed") return event.exitCode;
    if (event.event === "exited") return event.code;
  }
  return 128 + 9; // it was killed
}

/** Events as they come: the first word of the program's start, and all of them at the end. */
function readEvents(
  socket: Socket,
  onEvent?: (event: HelperEvent) => void,
): Pick<ServedRun, "started"> & { all: Promise<HelperEvent[]> } {
  const events: HelperEvent[] = [];
  let partial = "";
  let tell: (event: Extract<HelperEvent, { event: "exec" }> | undefined) => void = () => {};
  const started = new Promise<Extract<HelperEvent, { event: "exec" }> | undefined>((resolve) => {
    tell = resolve;
  });
  const all = new Promise<HelperEvent[]>((resolve, reject) => {
    socket
      .setEncoding("utf8")
      .on("data", (text: string) => {
        const lines = (partial + text).split("\n");
        partial = lines.pop() ?? "";
        for (const line of lines) {
          const event = decodeEvent(line);
          if (!event) continue;
          events.push(event);
          onEvent?.(event);
          if (event.event === "exec") tell(event);
        }
      })
      .on("error", reject)
      .on("close", () => {
        tell(undefined);
        resolve(events);
      });
  });
  return { started, all };
}

/** Everything a pipe gives, as UTF-8. */
function text(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    socket
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .on("error", reject)
      .on("close", () => resolve(Buffer.concat(chunks).toString("utf8")));
  });
}
