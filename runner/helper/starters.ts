import type { Readable, Writable } from "node:stream";
import type { HelperEvent, Plan } from "../plan/types.ts";

/** A helper at work on a plan. */
export interface HelperRun {
  /** Ours, where it was asked for as "pipe". */
  stdin: Writable | undefined;
  stdout: Readable | undefined;
  /** Resolves when the helper has ended: its exit status and every event it told. */
  done: Promise<HelperResult>;
  /** Ends it and what it started. */
  kill(): void;
}

export interface HelperResult {
  /** The helper's exit status, 128+n when a signal ended it. */
  code: number;
  events: HelperEvent[];
  /** What the helper itself wrote to standard error, when that was a pipe. */
  stderr: string;
}

/** A file descriptor of this process, or what child_process calls it. */
export type Stdio = "ignore" | "inherit" | "pipe" | number;

/** Somebody who can start a plan without a helper of its own: a helper that is kept (server.ts). */
export interface Starter {
  takes(plan: Plan, stdio: readonly Stdio[]): boolean;
  start(plan: Plan, stdio: [Stdio, Stdio, Stdio], onEvent?: (event: HelperEvent) => void): HelperRun;
}

const starters = new Set<Starter>();

/** From now on plans go to this one, if it takes them; returns what ends that. */
export function addStarter(starter: Starter): () => void {
  starters.add(starter);
  return () => void starters.delete(starter);
}

export function starterFor(plan: Plan, stdio: readonly Stdio[]): Starter | undefined {
  for (const starter of starters) if (starter.takes(plan, stdio)) return starter;
  return undefined;
}
