/** The plan: everything the helper will do, as plain data. ARCHITECTURE.md, contract 1, explains each word. */

export type NamespaceName = "user" | "mount" | "pid" | "ipc" | "uts" | "net" | "cgroup" | "time";

export interface IdRange {
  inside: number;
  outside: number;
  count: number;
}

/** Address and port outside, port inside. */
export interface PublishedPort {
  address: string;
  port: number;
  inside: number;
}

/** How the front process of an attached run behaves: what it passes on and shows, and whether a signal that ends it spares the program. */
export type AttachedFlag = "stdin" | "no-stdout" | "no-stderr" | "leave";

/** A file of the container's cgroup and what it is to say; `optional`: where it cannot, the container starts all the same. */
export interface CgroupSetting {
  file: string;
  value: string;
  optional: boolean;
}

export type StdioMode = "inherit" | "relay" | "terminal" | "null";

/** One step of set-up: its name and operands exactly as they cross to C. */
export type Op =
  | { op: "private-mounts" }
  | { op: "slave-mounts" }
  | { op: "loopback" }
  | { op: "root"; dir: string }
  | { op: "overlay"; target: string; upper: string; work: string; flags: string[]; lowers: string[] }
  | { op: "overlay-at"; dest: string; upper: string; work: string; flags: string[]; lowers: string[] }
  | { op: "bind"; source: string; dest: string; flags: string[] }
  | { op: "bind-in"; base: string; source: string; dest: string; flags: string[] }
  | { op: "fill"; data: string; lock: string; dest: string; uid: number; gid: number; flags: string[] }
  | { op: "chown"; source: string; uid: number; gid: number }
  | { op: "tmpfs"; dest: string; flags: string[]; options: string }
  | { op: "proc"; dest: string }
  | { op: "sysfs"; dest: string; flags: string[] }
  | { op: "mqueue"; dest: string }
  | { op: "cgroup2"; dest: string; flags: string[] }
  | { op: "devpts"; dest: string; options: string }
  | { op: "sysctl"; name: string; value: string }
  | { op: "mkdir"; dest: string; mode: number }
  | { op: "file"; dest: string; mode: number; content: string }
  | { op: "append"; dest: string; content: string }
  | { op: "symlink"; target: string; dest: string }
  | { op: "shared-memory"; dest: string }
  | { op: "mask"; dest: string }
  | { op: "read-only"; dest: string }
  | { op: "remount"; dest: string; flags: string[] }
  | { op: "pivot-root" }
  | { op: "rlimit"; name: string; soft: number | "unlimited"; hard: number | "unlimited" }
  | { op: "user"; uid: number; gid: number; groups: number[] }
  | {
      op: "capabilities";
      bounding: bigint;
      effective: bigint;
      permitted: bigint;
      inheritable: bigint;
      ambient: bigint;
    }
  | { op: "no-new-privs" }
  | { op: "seccomp"; path: string }
  | { op: "session-keyring" }
  | { op: "umask"; mode: number }
  | { op: "oom-score-adj"; value: number }
  | { op: "cwd"; path: string }
  | { op: "cwd-make"; path: string }
  | { op: "env"; variables: string[] }
  | { op: "exec"; argv: string[] }
  | { op: "apply"; root: string; flags: string[]; lowers: string[] }
  | { op: "pack"; root: string; init: string; flags: string[]; lowers: string[] }
  | { op: "changes"; upper: string; init: string; lowers: string[] }
  | { op: "pick"; path: string }
  | { op: "place"; root: string; flags: string[] }
  | { op: "look"; paths: string[] }
  | { op: "remove"; paths: string[] }
  | { op: "finish" };

export interface Plan {
  /** A cgroup of the container's own; `optional`: where none can be had, it goes without. */
  cgroup?: { name: string; optional: boolean; settings: CgroupSetting[] };
  namespaces: NamespaceName[];
  /** Enter the namespaces of a live process instead of making new ones. */
  join?: { pid: number; startTime: string };
  /** Namespaces to enter instead of new ones: those of the container whose monitor holds the lock. */
  share?: { name: NamespaceName; lock: string }[];
  /** With `join`: the container's cgroup. */
  cgroupJoin?: { path: string; optional: boolean };
  uidMap: IdRange[];
  gidMap: IdRange[];
  /** Paths of newuidmap and newgidmap; absent: the maps are written directly. */
  mapTools?: { uid: string; gid: string };
  timeOffsets?: { clock: "monotonic" | "boottime"; seconds: number; nanoseconds: number }[];
  /** Monotonic and boot time begin with the container, where the kernel can. */
  clocksFromZero?: boolean;
  hostname?: string;
  /** Nobody asked for it: where an outer filter refuses it, the outer one stays. */
  hostnameMayStay?: boolean;
  domainname?: string;
  stdio: StdioMode;
  stdin: boolean;
  detach: boolean;
  announce?: string;
  terminalSize?: { rows: number; columns: number };
  onFailure?: string[];
  /** Socket of the monitor for clients that come later. */
  attach?: string;
  /** With `detach`: the front process stays, as the program's owner. */
  attached?: { keys: readonly number[]; flags: readonly AttachedFlag[] };
  /** At the end: links of a folder that lead to this. */
  release?: { folder: string; target: string };
  /** Files that hold the policy, and that tell of a stop on purpose. */
  restart?: { policy: string; stop: string };
  /** Where the last checks are told, the plan of one check, and when; times in milliseconds. */
  health?: {
    report: string;
    plan: string;
    interval: number;
    timeout: number;
    retries: number;
    startPeriod: number;
    startInterval: number;
    onFailure: string;
  };
  /** How the monitor itself asks the program to end. */
  stopSignal?: { number: number; timeout: number };
  logLimit?: { bytes: number; files: number };
  /** The store's journal, and what a line says of the container: fields of JSON. */
  journal?: { path: string; actor: string };
  /** Set by a monitor that starts its container again. */
  restarted?: { count: number; delay: number };
  events?: string;
  eventsFd?: number;
  log?: string;
  lock?: string;
  /** Milliseconds until SIGKILL. */
  timeout?: number;
  /** At most so many processes, all users together. */
  processLimit?: number;
  signalProxy: boolean;
  dieWithParent: boolean;
  controlFd?: number;
  /** Ports of the container that are reached from outside. */
  publish?: PublishedPort[];
  cleanup: string[];
  init: boolean;
  ops: Op[];
}

/** An event line of the helper. Fields beyond `event` and `time` depend on the event. */
export type HelperEvent = { time: string } & (
  | { event: "hello"; version: number; boot?: string }
  | { event: "cgroup"; path: string }
  | { event: "created"; pid: number; startTime: string; monitor: number; monitorStartTime?: string }
  | { event: "health"; status: "healthy" | "unhealthy" }
  | { event: "restarting"; count: number; delay: number }
  | { event: "mapped" }
  | { event: "mounted" }
  | { event: "exec"; pid: number; startTime: string }
  | {
      event: "exited";
      code: number;
      signal: number;
      reason: "exit" | "signal" | "timeout" | "oom";
      oomKills?: number;
      maxRssKiB: number;
      userMicros: number;
      systemMicros: number;
    }
  | {
      event: "failed";
      op: string;
      index: number;
      of: number;
      path: string;
      errno: string;
      message: string;
      exitCode: number;
    }
  | {
      event: "deferred";
      path: string;
      uid: number;
      gid: number;
      mode: number;
      kind: number;
      major: number;
      minor: number;
    }
  | { event: "missing-link"; path: string; link: string }
  | { event: "found"; path: string; kind: "directory" | "file" | "link" | "other" | "missing"; link?: string }
  | { event: "applied"; entries: number; bytes: number }
);

export const PLAN_VERSION = 1;
