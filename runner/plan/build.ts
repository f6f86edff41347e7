import { ALL_CAPABILITIES } from "./capabilities.ts";
import type { HostRootEntry } from "./host-root.ts";
import { type Identity, isMapped, rootIsCaller } from "./idmap.ts";
import {
  deviceMounts,
  type KernelAccess,
  kernelMounts,
  protectionMounts,
  type UserMount,
  userMounts,
  volumeOps,
} from "./mounts.ts";
import { namespacesOf, type SharedNamespaces, sharedWith } from "./shared.ts";
import { DRIVER_FLAGS, type StorageDriver } from "./storage.ts";
import type { Op, Plan, PublishedPort, StdioMode } from "./types.ts";
import type { ResolvedUser } from "./user.ts";

/** Where the root filesystem comes from, with every path already known. */
export type Root =
  | { kind: "image"; lowers: string[]; volatile: boolean; driver: StorageDriver }
  | { kind: "directory"; path: string; mounts: StorageDriver }
  | {
      kind: "host";
      entries: HostRootEntry[];
      volatile: boolean;
      driver: StorageDriver;
      /** What is written is kept in memory: the store's file system can't take it. */
      inMemory?: boolean;
    };

/** The process inside, wherever it is started from. */
export interface ProcessPlan {
  argv: string[];
  env: string[];
  cwd: string;
  user: ResolvedUser;
  capabilities: bigint;
  noNewPrivileges: boolean;
  /** File of the compiled seccomp filter; absent: unconfined. */
  seccomp?: string;
  /** The program may ask for keys: it gets a keyring that has none of the caller's. */
  sessionKeyring: boolean;
  ulimits: { name: string; soft: number | "unlimited"; hard: number | "unlimited" }[];
}

export interface ContainerPlanInput extends ProcessPlan {
  /** Folder of what every container of the kind could share: merged (the mount point), hosts, hostname, resolv.conf. */
  dir: string;
  /** Folder of what is this container's alone: upper and work. */
  writable: string;
  identity: Identity;
  root: Root;
  hostname: string;
  hostnameMayStay?: boolean;
  /** Of the name services. */
  domainname?: string;
  network: "none" | "host";
  /** Other namespaces, or another container's network, in place of its own. */
  shared?: SharedNamespaces;
  /** Folder of hosts, hostname and resolv.conf, where that is another container's. */
  names?: string;
  /** Of these three, those of the image that stay. */
  imageNames?: readonly string[];
  mounts: UserMount[];
  readOnly: boolean;
  shmSize: number;
  init: boolean;
  /** Of processes; absent: none. */
  processLimit?: number;
  /** Make the working directory when the image lacks it, as Docker does. */
  makeCwd: boolean;
  /** Doors of the kernel that are more open, or more closed, than they usually are. */
  kernel: KernelAccess;
  /** What the container writes to its root is in memory, and no more than that: bytes. */
  storageSize?: number;
}

/** How the helper stands to its caller, its terminal and its files. */
export interface Supervision {
  cgroup?: NonNullable<Plan["cgroup"]>;
  cgroupJoin?: NonNullable<Plan["cgroupJoin"]>;
  stdio: StdioMode;
  stdin: boolean;
  /** Of a terminal that nobody looks at. */
  terminalSize?: { rows: number; columns: number };
  detach: boolean;
  announce?: string;
  onFailure?: string[];
  attached?: NonNullable<Plan["attached"]>;
  attach?: string;
  release?: { folder: string; target: string };
  restart?: { policy: string; stop: string };
  journal?: { path: string; actor: string };
  health?: NonNullable<Plan["health"]>;
  stopSignal?: NonNullable<Plan["stopSignal"]>;
  logLimit?: NonNullable<Plan["logLimit"]>;
  events?: string;
  eventsFd?: number;
  log?: string;
  lock?: string;
  timeout?: number;
  signalProxy: boolean;
  dieWithParent: boolean;
  controlFd?: number;
  publish?: PublishedPort[];
  cleanup: string[];
}

/** What a program takes for granted where nobody has a window: many misbehave at 0 by 0. */
export const UNSEEN_TERMINAL = { rows: 24, columns: 80 };

/** The plan of a container from scratch. */
export function containerPlan(input: ContainerPlanInput, supervision: Supervision): Plan {
  const { dir, writable, identity } = input;
  const shared = sharedWith(input.network, input.shared);
  const { namespaces, share } = namespacesOf(shared);
  return {
    namespaces,
    ...(share.length > 0 && { share }),
    uidMap: identity.uidMap,
    gidMap: identity.gidMap,
    ...(identity.mapTools && { mapTools: identity.mapTools }),
    ...(shared.pid === undefined && { clocksFromZero: true }),
    ...(shared.uts === undefined && { hostname: input.hostname }),
    ...(shared.uts === undefined && input.hostnameMayStay && { hostnameMayStay: true }),
    ...(shared.uts === undefined && input.domainname !== undefined && { domainname: input.domainname }),
    ...supervision,
    init: input.init,
    ...(input.processLimit !== undefined && { processLimit: input.processLimit }),
    ops: [
      { op: input.mounts.some(followsHost) ? "slave-mounts" : "private-mounts" },
      ...(shared.net === undefined ? [{ op: "loopback" } as const] : []),
      ...rootOps(dir, writable, input.root, rootIsCaller(identity.uidMap), input.storageSize),
      ...volumeOps(input.mounts),
      ...kernelMounts(shared, input.kernel.writableSys),
      ...deviceMounts(shared, input.shmSize, input.kernel.devices),
      ...input.kernel.sysctls.map((setting): Op => ({ op: "sysctl", ...setting })),
      ...userMounts(input.mounts, `${writable}/mounts`, driverOf(input.root)),
      ...nameFiles(input.names ?? dir, namesOf(input), input.mounts, dir !== writable),
      ...(hasAccountFiles(identity) ? nameFiles(dir, ACCOUNT_FILES, input.mounts, dir !== writable) : []),
      ...protectionMounts(input.kernel),
      ...(input.readOnly ? [{ op: "remount", dest: "/", flags: ["ro"] } satisfies Op] : []),
      { op: "pivot-root" },
      ...processOps(input, identity, input.makeCwd),
    ],
  };
}

/** What the host mounts below its source later is to be seen. */
function followsHost({ flags }: UserMount): boolean {
  return flags.some((flag) => /^r?(slave|shared)$/.test(flag));
}

/** The plan of one more process in a running container. */
export function execPlan(
  process: ProcessPlan,
  identity: Pick<Identity, "uidMap" | "gidMap">,
  init: { pid: number; startTime: string } | undefined,
  supervision: Supervision,
): Plan {
  return {
    namespaces: [],
    // a health check's plan is made before its container: the monitor adds whom to join
    ...(init && { join: init }),
    uidMap: [],
    gidMap: [],
    ...supervision,
    init: false,
    ops: processOps(process, identity, false),
  };
}

/** A plan that only works on the store inside the user namespace: unpack, remove, make mount points. */
export function storePlan(identity: Identity, ops: Op[], eventsFd?: number): Plan {
  return {
    namespaces: ["user", "mount"],
    uidMap: identity.uidMap,
    gidMap: identity.gidMap,
    ...(identity.mapTools && { mapTools: identity.mapTools }),
    stdio: "inherit",
    stdin: true,
    detach: false,
    ...(eventsFd !== undefined && { eventsFd }),
    signalProxy: true,
    dieWithParent: true,
    cleanup: [],
    init: false,
    ops,
  };
}

/** The namespace's own root with every capability over it: for programs of ours that look after the store. */
export function storeRootOps(): Op[] {
  return [
    { op: "private-mounts" },
    {
      op: "capabilities",
      bounding: ALL_CAPABILITIES,
      effective: ALL_CAPABILITIES,
      permitted: ALL_CAPABILITIES,
      inheritable: 0n,
      ambient: 0n,
    },
    { op: "user", uid: 0, gid: 0, groups: [] },
  ];
}

/** What a container that does not run would see: its root with its mounts, but for what is in memory. Ends where its "/" is "/". */
export function viewOps(
  dir: string,
  root: Root,
  identity: Pick<Identity, "uidMap">,
  { mounts, readOnly }: { mounts: UserMount[]; readOnly: boolean },
): Op[] {
  const kept = mounts.map((mount): UserMount => ({ ...mount, flags: [...mount.flags, ...optional(mount)] }));
  return [
    { op: "private-mounts" },
    ...rootOps(dir, dir, root, rootIsCaller(identity.uidMap)),
    ...volumeOps(kept),
    // by their numbers the overlays find their folders
    ...userMounts(kept, `${dir}/mounts`, driverOf(root)).filter((op) => op.op !== "tmpfs"),
    ...(readOnly ? [{ op: "remount", dest: "/", flags: ["ro"] } satisfies Op] : []),
    { op: "pivot-root" },
  ];
}

/** The source of a bind mount may have gone since; the rest can be seen all the same. */
function optional(mount: UserMount): string[] {
  return mount.type === "bind" && mount.fill === undefined ? ["optional"] : [];
}

/** What makes the folders and files of a container's init layer: the places that every container mounts over, whether or not the image has them. */
export function initLayerOps(
  lowers: string[],
  upper: string,
  work: string,
  target: string,
  accounts: { passwd: string; group: string },
): Op[] {
  return [
    { op: "private-mounts" },
    { op: "overlay", target, upper, work, flags: ["userxattr"], lowers },
    { op: "root", dir: target },
    ...["/proc", "/sys", "/dev", "/etc"].map((dest): Op => ({ op: "mkdir", dest, mode: 0o755 })),
    ...["/etc/hosts", "/etc/hostname", "/etc/resolv.conf"].map(
      (dest): Op => ({ op: "file", dest, mode: 0o644, content: "" }),
    ),
    ...accountOps("/etc/passwd", accounts.passwd),
    ...accountOps("/etc/group", accounts.group),
    { op: "finish" },
  ];
}

/** Added to the image's file, or a file of its own where there is none. */
function accountOps(dest: string, content: string): Op[] {
  if (content === "") return [];
  return [
    { op: "append", dest, content },
    { op: "file", dest, mode: 0o644, content },
  ];
}

/** Of the root, and of the overlays that the user mounts. */
export function driverOf(root: Root): StorageDriver {
  return root.kind === "directory" ? root.mounts : root.driver;
}

function rootOps(dir: string, writable: string, root: Root, callerOwns: boolean, size?: number): Op[] {
  const merged = `${dir}/merged`;
  const storageSize = size ?? (root.kind === "host" && root.inMemory ? "50%" : undefined);
  if (storageSize !== undefined) {
    const ops = rootOps(dir, `${writable}/${SIZED}`, inMemory(root), true);
    // the host's directories that have mounts below them lie on the root's own file system in memory
    const sized = ops.map((op) => (op.op === "tmpfs" ? { ...op, options: `${op.options},size=${storageSize}` } : op));
    return [...sizedFolders(writable, root, storageSize), ...sized];
  }
  const flags = ({ volatile, driver }: { volatile: boolean; driver: StorageDriver }) => [
    ...DRIVER_FLAGS[driver],
    ...(volatile && driver === "overlay" ? ["volatile"] : []),
  ];
  switch (root.kind) {
    case "image":
      return [
        // what the caller makes would not be root's inside
        ...(callerOwns ? [] : ownedFolders(writable)),
        {
          op: "overlay",
          target: merged,
          upper: `${writable}/upper`,
          work: `${writable}/work`,
          flags: flags(root),
          lowers: root.lowers,
        },
        { op: "root", dir: merged },
      ];
    case "directory":
      return [{ op: "root", dir: root.path }];
    case "host":
      return [
        { op: "root", dir: merged },
        { op: "tmpfs", dest: "/", flags: ["nodev"], options: "mode=755" },
        ...root.entries.map((entry, number) => hostEntry(writable, entry, number, flags(root))),
      ];
  }
}

/** The same with its upper directories on a tmpfs, where the caller has seen that overlay can have them. fuse-overlayfs would not: its server is outside. */
function inMemory(root: Root): Root {
  if (root.kind === "directory") return root;
  return root.kind === "host"
    ? { ...root, driver: "overlay", inMemory: false }
    : { ...root, driver: root.driver === "fuse-overlayfs" ? "copy" : root.driver };
}

/** Where the file system lies that holds the upper directories of a container whose storage has a size. */
const SIZED = "sized";

/** No quota can be had without privilege: a file system of its own has an end. It is the container's alone, and goes with its namespace. */
function sizedFolders(writable: string, root: Root, size: number | string): Op[] {
  const made = (name: string, mode: number) => ({ op: "mkdir", dest: `/${SIZED}/${name}`, mode }) satisfies Op;
  const entries = root.kind === "host" ? [...root.entries.entries()] : [];
  return [
    { op: "root", dir: writable },
    { op: "tmpfs", dest: `/${SIZED}`, flags: ["make", "nodev"], options: `mode=700,size=${size}` },
    made("upper", 0o755),
    made("work", 0o755),
    ...entries.flatMap(([number, entry]) =>
      entry.kind === "overlay" ? [made(`upper/${number}`, entry.mode), made(`work/${number}`, 0o755)] : [],
    ),
  ];
}

/** The upper directory is "/" of the container: made inside, it belongs to container root. */
function ownedFolders(writable: string): Op[] {
  return [
    { op: "root", dir: writable },
    { op: "mkdir", dest: "/upper", mode: 0o755 },
    { op: "mkdir", dest: "/work", mode: 0o755 },
  ];
}

function hostEntry(writable: string, entry: HostRootEntry, number: number, flags: string[]): Op {
  switch (entry.kind) {
    case "overlay":
      return {
        op: "overlay-at",
        dest: entry.path,
        upper: `${writable}/upper/${number}`,
        work: `${writable}/work/${number}`,
        // the machine's directories come and go, also between two starts of a container
        flags: [...flags, "make", "optional"],
        lowers: [entry.path],
      };
    case "directory":
      return { op: "mkdir", dest: entry.path, mode: entry.mode };
    case "symlink":
      return { op: "symlink", target: entry.target, dest: entry.path };
    case "file":
      return { op: "bind", source: entry.path, dest: entry.path, flags: ["make", "ro", "optional"] };
  }
}

const NAME_FILES = ["hosts", "hostname", "resolv.conf"];
const namesOf = ({ imageNames = [] }: ContainerPlanInput) => NAME_FILES.filter((name) => !imageNames.includes(name));
const ACCOUNT_FILES = ["passwd", "group"];

/** Keep-id where only one id exists: the caller's lines are in files of the container's own. */
export function hasAccountFiles(identity: Identity): boolean {
  return identity.kind === "single" && !rootIsCaller(identity.uidMap);
}

/**
 * hosts, hostname and resolv.conf are mounted over, so that they are never committed; a mount of the user's wins. Where several containers
 * share them they are read-only: one could otherwise send the next, which is meant to be fresh, to an address of its choice.
 */
function nameFiles(dir: string, names: readonly string[], mounts: UserMount[], shared: boolean): Op[] {
  return names
    .filter((name) => !mounts.some((mount) => mount.target === `/etc/${name}` || mount.target === "/etc"))
    .map((name) => ({
      op: "bind",
      source: `${dir}/${name}`,
      dest: `/etc/${name}`,
      flags: ["make", "optional", ...(shared ? ["ro"] : [])],
    }));
}

function processOps(process: ProcessPlan, identity: Pick<Identity, "uidMap" | "gidMap">, makeCwd: boolean): Op[] {
  const { user, capabilities } = process;
  // as Docker: another user than root keeps the bounding set, but nothing of it is in effect
  const held = user.uid === 0 ? capabilities : 0n;
  return [
    ...process.ulimits.map((limit): Op => ({ op: "rlimit", ...limit })),
    {
      op: "capabilities",
      bounding: capabilities & ALL_CAPABILITIES,
      effective: held,
      permitted: held,
      inheritable: 0n,
      ambient: 0n,
    },
    ...(process.noNewPrivileges ? [{ op: "no-new-privs" } as const] : []),
    ...(process.seccomp === undefined ? [] : [{ op: "seccomp", path: process.seccomp } as const]),
    ...(process.sessionKeyring ? [{ op: "session-keyring" } as const] : []),
    {
      op: "user",
      uid: user.uid,
      gid: user.gid,
      groups: user.groups.filter((gid) => isMapped(identity.gidMap, gid)),
    },
    { op: makeCwd ? "cwd-make" : "cwd", path: process.cwd },
    { op: "env", variables: process.env },
    { op: "exec", argv: process.argv },
  ];
}
