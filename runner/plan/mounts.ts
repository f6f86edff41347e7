import type { SharedNamespaces } from "./shared.ts";
import { DRIVER_FLAGS, type StorageDriver } from "./storage.ts";
import type { Op } from "./types.ts";

/** Nodes that are safe to share: they hold no state and reach no hardware. */
const DEVICES = ["null", "zero", "full", "random", "urandom", "tty"];

/** What Podman and Docker hide of /proc and /sys: kernel state and host hardware that no container needs. */
export const MASKED_PATHS = [
  "/proc/acpi",
  "/proc/kcore",
  "/proc/keys",
  "/proc/latency_stats",
  "/proc/sched_debug",
  "/proc/scsi",
  "/proc/timer_list",
  "/proc/timer_stats",
  "/proc/interrupts",
  "/sys/devices/virtual/powercap",
  "/sys/firmware",
  "/sys/fs/selinux",
  "/sys/dev/block",
];

export const READ_ONLY_PATHS = [
  "/proc/asound",
  "/proc/bus",
  "/proc/fs",
  "/proc/irq",
  "/proc/sys",
  "/proc/sysrq-trigger",
];

/** What of the kernel's own files and devices a container sees, and what it may change. */
export interface KernelAccess {
  masked: readonly string[];
  readOnly: readonly string[];
  writableSys: boolean;
  /** Nodes of the host, by their paths, beside the safe ones. */
  devices: readonly { source: string; target: string }[];
  /** Names with slashes. */
  sysctls: readonly { name: string; value: string }[];
}

/** The usual. */
export const GUARDED: KernelAccess = {
  masked: MASKED_PATHS,
  readOnly: READ_ONLY_PATHS,
  writableSys: false,
  devices: [],
  sysctls: [],
};

/** A mount the user asked for, resolved: sources exist, targets are absolute. A container's record keeps it. */
export type UserMount = {
  /** What the user calls it. */
  kind: "bind" | "volume" | "tmpfs" | "image";
  target: string;
  /** As the plan's ops take them. */
  flags: string[];
  /** Of a volume. */
  name?: string;
  /** The volume was made for this container, and goes with it. */
  anonymous?: boolean;
  /** What the volume is made with, if it is not there. */
  make?: { options: Record<string, string>; labels: Record<string, string> };
} & (
  | {
      type: "bind";
      /** On the host. */
      source: string;
      /** What of the source is mounted; resolved as if the source were "/". */
      subpath?: string;
      /** A volume's folder, to be made ready; with `copy` by what the image has at the target. Otherwise it is the user's. */
      fill?: { folder: string; copy: boolean; uid: number; gid: number };
      /** Whom everything in it is given to. */
      owner?: { uid: number; gid: number };
    }
  | { type: "tmpfs"; options: string; copy?: boolean }
  | {
      /** What is written goes to a layer above the lowers that is the container's alone. */
      type: "overlay";
      /** What the user named: a folder or an image. */
      source: string;
      lowers: string[];
      subpath?: string;
      readOnly: boolean;
    }
);

/** Where a mount comes from, for people. */
export function mountSource(mount: UserMount): string {
  return mount.type === "tmpfs" ? "" : mount.source;
}

/** A private /dev: the safe nodes, a devpts and a shared-memory directory of its own. */
export function deviceMounts(shared: SharedNamespaces, shmSize: number, devices: KernelAccess["devices"]): Op[] {
  return [
    { op: "tmpfs", dest: "/dev", flags: ["make", "nosuid"], options: "mode=755,size=64k" },
    ...DEVICES.map(
      (name): Op => ({
        op: "bind",
        source: `/dev/${name}`,
        dest: `/dev/${name}`,
        flags: ["make", "nosuid", "noexec", "optional"],
      }),
    ),
    { op: "mkdir", dest: "/dev/pts", mode: 0o755 },
    { op: "devpts", dest: "/dev/pts", options: "newinstance,ptmxmode=0666,mode=620" },
    { op: "mkdir", dest: "/dev/shm", mode: 0o1777 },
    ...memoryMounts(shared.ipc, shmSize),
    { op: "symlink", target: "/proc/self/fd", dest: "/dev/fd" },
    { op: "symlink", target: "/proc/self/fd/0", dest: "/dev/stdin" },
    { op: "symlink", target: "/proc/self/fd/1", dest: "/dev/stdout" },
    { op: "symlink", target: "/proc/self/fd/2", dest: "/dev/stderr" },
    { op: "symlink", target: "pts/ptmx", dest: "/dev/ptmx" },
    ...devices.map(
      ({ source, target }): Op => ({ op: "bind", source, dest: target, flags: ["make", "nosuid", "noexec"] }),
    ),
  ];
}

/** /dev/shm and /dev/mqueue go with the ipc namespace. A new file system of the host's message queues is not ours to mount. */
function memoryMounts(ipc: SharedNamespaces["ipc"], size: number): Op[] {
  const flags = ["nosuid", "nodev", "noexec"];
  const host = (dest: string): Op => ({ op: "bind", source: dest, dest, flags: [...flags, "rec", "optional"] });
  const queues: Op = { op: "mkdir", dest: "/dev/mqueue", mode: 0o755 };
  if (ipc === "host") return [host("/dev/shm"), queues, host("/dev/mqueue")];
  return [
    ipc === undefined
      ? { op: "tmpfs", dest: "/dev/shm", flags, options: `mode=1777,size=${size}` }
      : { op: "shared-memory", dest: "/dev/shm" },
    queues,
    { op: "mqueue", dest: "/dev/mqueue" },
  ];
}

/**
 * /proc and /sys. The kernel grants a new /proc of the host's processes, and a view of its cgroups, to nobody but itself: the host's own
 * are bound. A fresh sysfs shows the network namespace it is mounted in and the kernel grants it only to that namespace's owner:
 * on the host's network a read-only bind of the host's takes its place.
 */
export function kernelMounts(shared: SharedNamespaces, writableSys: boolean): Op[] {
  const ro = writableSys ? [] : ["ro"];
  const ops: Op[] = [
    { op: "mkdir", dest: "/proc", mode: 0o755 },
    shared.pid === "host"
      ? { op: "bind", source: "/proc", dest: "/proc", flags: ["rec", "nosuid", "nodev", "noexec"] }
      : { op: "proc", dest: "/proc" },
  ];
  if (shared.net === "host") {
    ops.push({
      op: "bind",
      source: "/sys",
      dest: "/sys",
      flags: ["rec", ...ro, "make", "nosuid", "nodev", "noexec", "rslave", "optional"],
    });
  } else {
    ops.push({ op: "sysfs", dest: "/sys", flags: ["make", ...ro, "optional"] });
  }
  const cgroups = "/sys/fs/cgroup";
  if (shared.cgroup !== "host") {
    ops.push({ op: "cgroup2", dest: cgroups, flags: [...ro, "optional"] });
  } else if (shared.net !== "host") {
    const flags = ["rec", ...ro, "nosuid", "nodev", "noexec", "rslave", "optional"];
    ops.push({ op: "bind", source: cgroups, dest: cgroups, flags });
  }
  return ops;
}

export function protectionMounts({ readOnly, masked }: Pick<KernelAccess, "readOnly" | "masked">): Op[] {
  return [
    ...readOnly.map((dest): Op => ({ op: "read-only", dest })),
    ...masked.map((dest): Op => ({ op: "mask", dest })),
  ];
}

/** Before anything is mounted in the new root: volumes get what the image has at their places. */
export function volumeOps(mounts: UserMount[]): Op[] {
  return mounts.flatMap((mount): Op[] => {
    if (mount.type !== "bind") return [];
    const { source, fill, owner } = mount;
    return [
      ...(fill === undefined
        ? []
        : [
            {
              op: "fill",
              data: source,
              lock: `${fill.folder}/lock`,
              dest: mount.target,
              uid: fill.uid,
              gid: fill.gid,
              flags: fill.copy ? [] : ["nocopy"],
            } satisfies Op,
          ]),
      ...(owner === undefined ? [] : [{ op: "chown", source, ...owner } satisfies Op]),
    ];
  });
}

/**
 * Parents before children, whatever the order of the flags: a mount must not hide an earlier one. Below `folder` each overlay has a
 * folder of its own, by its number.
 */
export function userMounts(mounts: UserMount[], folder: string, driver: StorageDriver): Op[] {
  const depth = (path: string) => path.split("/").filter(Boolean).length;
  return mounts
    .map((mount, number) => ({ mount, place: `${folder}/${number}` }))
    .sort((a, b) => depth(a.mount.target) - depth(b.mount.target))
    .flatMap(({ mount, place }) => mountOps(mount, place, driver));
}

function mountOps(mount: UserMount, place: string, driver: StorageDriver): Op[] {
  const { target: dest } = mount;
  const flags = ["make", ...mount.flags];
  switch (mount.type) {
    case "tmpfs":
      if (!mount.copy) return [{ op: "tmpfs", dest, flags, options: mount.options }];
      // what is copied has to be written first
      return [
        { op: "tmpfs", dest, flags: [...flags.filter((flag) => flag !== "ro"), "copy"], options: mount.options },
        ...(flags.includes("ro") ? [{ op: "remount", dest, flags: mount.flags } satisfies Op] : []),
      ];
    case "bind":
      return mount.subpath === undefined
        ? [{ op: "bind", source: mount.source, dest, flags }]
        : [{ op: "bind-in", base: mount.source, source: mount.subpath, dest, flags }];
    case "overlay": {
      // without an upper the kernel wants two lowers: an empty folder is the other
      const own = {
        upper: `${place}/upper`,
        work: `${place}/work`,
        flags: [...DRIVER_FLAGS[driver]],
        lowers: mount.lowers,
      };
      const parts =
        mount.readOnly && driver !== "copy"
          ? { upper: "", work: "", flags: [...own.flags, "ro"], lowers: [...mount.lowers, own.upper] }
          : own;
      return [
        { op: "overlay", target: `${place}/merged`, ...parts },
        mount.subpath === undefined
          ? { op: "bind", source: `${place}/merged`, dest, flags }
          : { op: "bind-in", base: `${place}/merged`, source: mount.subpath, dest, flags },
      ];
    }
  }
}
