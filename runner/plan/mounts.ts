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

/** A mount the user asked for, resolved: sources exist, targets are absolute. */
export type UserMount =
  | { type: "bind"; source: string; target: string; flags: string[] }
  | { type: "tmpfs"; target: string; flags: string[]; options: string };

/** A private /dev: the safe nodes, a devpts and a shared-memory directory of its own. */
export function deviceMounts(shmSize: number): Op[] {
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
    {
      op: "tmpfs",
      dest: "/dev/shm",
      flags: ["nosuid", "nodev", "noexec"],
      options: `mode=1777,size=${shmSize}`,
    },
    { op: "mkdir", dest: "/dev/mqueue", mode: 0o755 },
    { op: "mqueue", dest: "/dev/mqueue" },
    { op: "symlink", target: "/proc/self/fd", dest: "/dev/fd" },
    { op: "symlink", target: "/proc/self/fd/0", dest: "/dev/stdin" },
    { op: "symlink", target: "/proc/self/fd/1", dest: "/dev/stdout" },
    { op: "symlink", target: "/proc/self/fd/2", dest: "/dev/stderr" },
    { op: "symlink", target: "pts/ptmx", dest: "/dev/ptmx" },
  ];
}

/**
 * /proc and /sys. A fresh sysfs shows the network namespace it is mounted in and the kernel grants it only to that namespace's owner:
 * on the host's network a read-only bind of the host's takes its place.
 */
export function kernelMounts(network: "none" | "host"): Op[] {
  const ops: Op[] = [
    { op: "mkdir", dest: "/proc", mode: 0o755 },
    { op: "proc", dest: "/proc" },
  ];
  if (network === "host") {
    ops.push({
      op: "bind",
      source: "/sys",
      dest: "/sys",
      flags: ["rec", "ro", "make", "nosuid", "nodev", "noexec", "rslave", "optional"],
    });
  } else {
    ops.push({ op: "sysfs", dest: "/sys", flags: ["make", "ro", "optional"] });
    ops.push({ op: "cgroup2", dest: "/sys/fs/cgroup", flags: ["ro", "optional"] });
  }
  return ops;
}

export function protectionMounts(): Op[] {
  return [
    ...READ_ONLY_PATHS.map((dest): Op => ({ op: "read-only", dest })),
    ...MASKED_PATHS.map((dest): Op => ({ op: "mask", dest })),
  ];
}

/** Parents before children, whatever the order of the flags: a mount must not hide an earlier one. */
export function userMounts(mounts: UserMount[]): Op[] {
  const depth = (path: string) => path.split("/").filter(Boolean).length;
  return [...mounts]
    .sort((a, b) => depth(a.target) - depth(b.target))
    .map(
      (mount): Op =>
        mount.type === "bind"
          ? { op: "bind", source: mount.source, dest: mount.target, flags: ["make", ...mount.flags] }
          : { op: "tmpfs", dest: mount.target, flags: ["make", ...mount.flags], options: mount.options },
    );
}
