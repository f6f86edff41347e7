import type { HelperEvent } from "../plan/types.ts";

/** Docker's words. `dead`: whoever was `removing` it was killed before it was done; the next verb that changes the store goes on. */
export type Status = "created" | "running" | "paused" | "restarting" | "exited" | "removing" | "dead";

export interface ContainerState {
  status: Status;
  /** Outside; 0 when not running. */
  pid: number;
  startTime: string;
  monitor: number;
  monitorStartTime: string;
  /** The boot that these pids belong to. */
  boot: string;
  exitCode: number;
  /** Why it ended: `exit`, `signal`, `timeout`, `failed` (never started), `lost` (its monitor was killed or the machine went down). */
  reason: "" | "exit" | "signal" | "timeout" | "oom" | "failed" | "lost";
  signal: number;
  error: string;
  /** Whether the kernel has killed one of its processes for want of memory. */
  oomKilled: boolean;
  /** Of its own, as the helper told it: "/…" below the root of all; empty: it has none, or had none when it ran. */
  cgroup: string;
  /** Whether who removes it takes its anonymous volumes along. */
  takesVolumes?: boolean;
  /** How often the policy has started it again. */
  restarts: number;
  /** RFC 3339 with nanoseconds, or Docker's zero time. */
  startedAt: string;
  finishedAt: string;
}

/** Lines that the runner adds to the events of the helper. */
export type RunnerEvent = { time: string } & (
  | { event: "paused" }
  | { event: "unpaused" }
  | { event: "start" }
  | Remover
);

/** Somebody has begun to remove it: the process, in its boot. */
export interface Remover {
  event: "removing";
  /** Its anonymous volumes go as well. */
  volumes: boolean;
  pid: number;
  startTime: string;
  boot: string;
}

export type ContainerEvent = HelperEvent | RunnerEvent;

export const ZERO_TIME = "0001-01-01T00:00:00Z";

const CREATED: ContainerState = {
  status: "created",
  pid: 0,
  startTime: "",
  monitor: 0,
  monitorStartTime: "",
  boot: "",
  exitCode: 0,
  reason: "",
  signal: 0,
  error: "",
  oomKilled: false,
  cgroup: "",
  restarts: 0,
  startedAt: ZERO_TIME,
  finishedAt: ZERO_TIME,
};

type Transition<E> = (state: ContainerState, event: E) => ContainerState;

/**
 * The state machine: what each event makes of a state. Events that say nothing of the state are not listed.
 *
 *     created ──exec──▶ running ◀──unpaused── paused
 *        ▲                │  └─────paused──────▲
 *      failed           exited ──▶ exited ──start, exec──▶ running
 *                         └─restarting─▶ restarting ──exec──▶ running
 *     any that is not up ──removing──▶ removing, and dead once its remover is
 */
const TRANSITIONS: { [K in ContainerEvent["event"]]?: Transition<Extract<ContainerEvent, { event: K }>> } = {
  // a user's start counts its restarts anew
  start: (state) => ({ ...state, restarts: 0 }),
  hello: (state, event) => ({ ...state, boot: event.boot ?? "", cgroup: "" }),
  cgroup: (state, event) => ({ ...state, cgroup: event.path }),
  created: (state, event) => ({
    ...state,
    monitor: event.monitor,
    monitorStartTime: event.monitorStartTime ?? "",
    error: "",
  }),
  exec: (state, event) => ({
    ...state,
    status: "running",
    pid: event.pid,
    startTime: event.startTime,
    exitCode: 0,
    signal: 0,
    reason: "",
    oomKilled: false,
    startedAt: rfc3339(event.time),
  }),
  paused: (state) => (state.status === "running" ? { ...state, status: "paused" } : state),
  unpaused: (state) => (state.status === "paused" ? { ...state, status: "running" } : state),
  exited: (state, event) => ({
    ...state,
    status: "exited",
    pid: 0,
    exitCode: event.code,
    signal: event.signal,
    reason: event.reason,
    oomKilled: event.reason === "oom" || (event.oomKills ?? 0) > 0,
    finishedAt: rfc3339(event.time),
  }),
  removing: (state, event) => ({
    ...state,
    status: "removing",
    takesVolumes: event.volumes,
    pid: 0,
    monitor: event.pid,
    monitorStartTime: event.startTime,
    boot: event.boot,
  }),
  restarting: (state, event) => ({ ...state, status: "restarting", restarts: event.count }),
  failed: (state, event) => ({
    ...state,
    status: state.startedAt === ZERO_TIME ? "created" : "exited",
    pid: 0,
    exitCode: event.exitCode,
    reason: "failed",
    error: event.message,
    finishedAt: rfc3339(event.time),
  }),
};

/** What the states are checked against: a pid with its start time, in the boot that it was noted in. */
export type IsAlive = (pid: number, startTime: string, boot: string) => boolean;

/**
 * The state is a fold over the events, checked against the world: a process that is said to run but is not there any more, as little as its
 * monitor, was lost (both were killed, or the machine rebooted), and nobody is left to start again what waits for that.
 */
export function foldState(events: ContainerEvent[], alive: IsAlive): ContainerState {
  let state = CREATED;
  for (const event of events) {
    const transition = TRANSITIONS[event.event] as Transition<ContainerEvent> | undefined;
    if (transition) state = transition(state, event);
  }
  if (state.status === "removing" && !alive(state.monitor, state.monitorStartTime, state.boot)) {
    return { ...state, status: "dead" };
  }
  if (isUp(state) && !alive(state.pid, state.startTime, state.boot)) {
    // its monitor is about to say how it ended
    if (alive(state.monitor, state.monitorStartTime, state.boot)) return state;
    return { ...state, status: "exited", pid: 0, exitCode: 137, reason: "lost" };
  }
  if (state.status === "restarting" && !alive(state.monitor, state.monitorStartTime, state.boot)) {
    return { ...state, status: "exited", pid: 0 };
  }
  return state;
}

/** Whether its processes are there, moving or not. */
export function isUp(state: Pick<ContainerState, "status">): boolean {
  return state.status === "running" || state.status === "paused";
}

/** Nanoseconds since 1970 as RFC 3339 in UTC. */
export function rfc3339(nanoseconds: string): string {
  // cut, not computed: big integers cost more than all the rest, and `ps` has one for each container
  const seconds = new Date(Number(nanoseconds.slice(0, -9)) * 1000).toISOString().slice(0, 19);
  return `${seconds}.${nanoseconds.slice(-9).padStart(9, "0")}Z`;
}
