import type { HelperEvent } from "../plan/types.ts";

/** Docker's words; `dead` is not used. */
export type Status = "created" | "running" | "exited";

export interface ContainerState {
  status: Status;
  /** Outside; 0 when not running. */
  pid: number;
  startTime: string;
  monitor: number;
  exitCode: number;
  /** Why it ended: `exit`, `signal`, `timeout`, `failed` (never started), `lost` (its monitor was killed or the machine went down). */
  reason: "" | "exit" | "signal" | "timeout" | "failed" | "lost";
  signal: number;
  error: string;
  /** RFC 3339 with nanoseconds, or Docker's zero time. */
  startedAt: string;
  finishedAt: string;
}

export const ZERO_TIME = "0001-01-01T00:00:00Z";

const CREATED: ContainerState = {
  status: "created",
  pid: 0,
  startTime: "",
  monitor: 0,
  exitCode: 0,
  reason: "",
  signal: 0,
  error: "",
  startedAt: ZERO_TIME,
  finishedAt: ZERO_TIME,
};

/** What each event makes of a state; events that say nothing of the state are not listed. */
const TRANSITIONS: {
  [K in HelperEvent["event"]]?: (state: ContainerState, event: Extract<HelperEvent, { event: K }>) => ContainerState;
} = {
  created: (_, event) => ({ ...CREATED, monitor: event.monitor }),
  exec: (state, event) => ({
    ...state,
    status: "running",
    pid: event.pid,
    startTime: event.startTime,
    startedAt: rfc3339(event.time),
  }),
  exited: (state, event) => ({
    ...state,
    status: "exited",
    pid: 0,
    exitCode: event.code,
    signal: event.signal,
    reason: event.reason,
    finishedAt: rfc3339(event.time),
  }),
  failed: (state, event) => ({
    ...state,
    status: "created",
    exitCode: event.exitCode,
    reason: "failed",
    error: event.message,
    finishedAt: rfc3339(event.time),
  }),
};

/**
 * The state is a fold over the events, checked against the world: a process that is said to run but is not there any more was lost (its monitor was
 * killed, or the machine rebooted). `alive` tells whether a pid with a start time is there in this boot.
 */
export function foldState(events: HelperEvent[], alive: (pid: number, startTime: string) => boolean): ContainerState {
  let state = CREATED;
  for (const event of events) {
    const transition = TRANSITIONS[event.event] as ((s: ContainerState, e: HelperEvent) => ContainerState) | undefined;
    if (transition) state = transition(state, event);
  }
  if (state.status === "running" && !alive(state.pid, state.startTime)) {
    return { ...state, status: "exited", pid: 0, exitCode: 137, reason: "lost" };
  }
  return state;
}

/** Nanoseconds since 1970 as RFC 3339 in UTC. */
export function rfc3339(nanoseconds: string): string {
  const value = BigInt(nanoseconds);
  const seconds = new Date(Number(value / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${String(value % 1_000_000_000n).padStart(9, "0")}Z`;
}
