/** A failed set-up as the helper reports it (op, errno, path) → an error that says what it means here, and what to do. */

import { release } from "node:os";
import { TsboxError, visible } from "../base/error.ts";
import { HelperFailure } from "../helper/client.ts";
import { isOlder, needsKernel, OLDEST_KERNEL } from "../plan/kernel-needs.ts";
import type { HelperEvent } from "../plan/types.ts";
import { isFiltered, userNamespaceFix } from "./doctor.ts";
import { ADDRESS_HINT, heldPortHint, lowPortHint } from "./explain-publish.ts";

export type FailedEvent = Extract<HelperEvent, { event: "failed" }>;

/** What one kind of failure means. */
interface Rule {
  code: string;
  /** Name of the op; absent: before the first op, or any. */
  op?: RegExp;
  errno?: readonly string[];
  message?: RegExp;
  path?: RegExp;
  /** Replaces the helper's words: action and object. */
  action?: (event: FailedEvent) => string;
  /** Replaces the kernel's words for the errno, where they mislead. */
  reason?: string;
  /** The kernel as `uname -r` says it. */
  hint: string | ((event: FailedEvent, kernel: string) => string);
}

const quoted = (event: FailedEvent) => `"${visible(event.path)}"`;

const DOCTOR = 'run "tsbox doctor" to see what this machine allows';
const START_PROGRAM = (event: FailedEvent) => `Cannot execute ${quoted(event)}`;

const PUBLISH = (event: FailedEvent) => `Cannot publish port ${visible(event.path)}`;

/** The id in the path of a container's lock. */
const donor = (event: FailedEvent) => visible(event.path.split("/").at(-2)?.slice(0, 12) ?? event.path);
const LIMIT = (event: FailedEvent) =>
  /\.\w+/.test(event.path) && !event.path.includes("/")
    ? `Cannot limit the container by ${visible(event.path)}`
    : "Cannot limit the container";

/** The first rule that fits is taken. */
const RULES: readonly Rule[] = [
  {
    code: "PORT_TAKEN",
    op: /^publish$/,
    errno: ["EADDRINUSE"],
    action: PUBLISH,
    reason: "it is in use",
    hint: (event) => heldPortHint(event.path),
  },
  {
    code: "PORT_DENIED",
    op: /^publish$/,
    errno: ["EACCES", "EPERM"],
    action: PUBLISH,
    reason: "permission denied",
    hint: lowPortHint,
  },
  {
    code: "PUBLISH_ADDRESS",
    op: /^publish$/,
    errno: ["EADDRNOTAVAIL", "EAFNOSUPPORT"],
    action: PUBLISH,
    reason: "no address of this machine",
    hint: ADDRESS_HINT,
  },
  {
    code: "SHARED_NOT_RUNNING",
    errno: ["ESRCH"],
    message: /^Cannot enter a namespace of another container/,
    action: (event) => `Cannot join namespaces of container ${donor(event)}`,
    reason: "it is not running",
    hint: (event) => `"tsbox start ${donor(event)}" first`,
  },
  {
    code: "NO_CGROUP",
    op: /^cgroup$/,
    message: /of version 1|no cgroups are mounted|none that can be seen/,
    action: LIMIT,
    hint: "only a cgroup of version 2 can hold it (kernel parameter systemd.unified_cgroup_hierarchy=1): leave the limit out, or start tsbox in a cgroup that has it",
  },
  {
    code: "NO_CGROUP",
    op: /^cgroup$/,
    message: /^Cannot reach the user's systemd/,
    action: LIMIT,
    reason: "this process may not make a cgroup, and the user's systemd, which could, does not run",
    hint: `log in through systemd, or: sudo loginctl enable-linger $USER; "tsbox doctor" tells more`,
  },
  {
    code: "NO_CONTROLLER",
    op: /^cgroup$/,
    errno: ["ENOENT"],
    message: /^Cannot limit/,
    action: LIMIT,
    reason: "the controller is not delegated to you, or this kernel has none",
    hint: (event) =>
      `${visible(event.path)} needs it: sudo systemctl edit user@.service, there "[Service]" and "Delegate=cpu cpuset io memory pids", and log in again`,
  },
  {
    code: "LIMIT_REFUSED",
    op: /^cgroup$/,
    message: /^Cannot limit/,
    action: LIMIT,
    hint: (event) => `${visible(event.path)} does not take it: this machine may have less`,
  },
  {
    code: "EXEC_CGROUP",
    op: /^cgroup$/,
    message: /^Cannot enter/,
    action: () => "Cannot enter the container's cgroup",
    hint: "its limits would not hold for the program: start it where the user's systemd can be reached",
  },
  { code: "NO_CGROUP", op: /^cgroup$/, action: LIMIT, hint: DOCTOR },
  {
    code: "SHARED_REMOVED",
    errno: ["ENOENT"],
    message: /^Cannot enter a namespace of another container/,
    action: (event) => `Cannot join namespaces of container ${donor(event)}`,
    reason: "it was removed, or has never been started",
    hint: "make this one anew, with a container that is there",
  },
  {
    code: "PROGRAM_NOT_FOUND",
    op: /^exec$/,
    message: /^Cannot find the program/,
    action: START_PROGRAM,
    reason: "no such program in the container",
    hint: (event) =>
      event.path.startsWith("-")
        ? "flags of tsbox stand before the image: what follows it is the command"
        : event.path.includes("/")
          ? "the path is one inside the container"
          : "it was looked for in the container's PATH; a path with a slash is taken as it is",
  },
  {
    code: "NO_INTERPRETER",
    op: /^exec$/,
    errno: ["ENOENT"],
    action: START_PROGRAM,
    reason: "the file is there, but its interpreter or loader is not",
    hint: 'a script needs the program of its "#!" line in the image, a dynamic program its loader and libraries',
  },
  {
    code: "EXEC_FORMAT",
    op: /^exec$/,
    errno: ["ENOEXEC"],
    action: START_PROGRAM,
    reason: "exec format error",
    hint: `it may be for another platform than this machine's (${process.arch}): try --platform; a script needs a "#!" line`,
  },
  {
    code: "NOT_EXECUTABLE",
    op: /^exec$/,
    errno: ["EACCES", "EPERM", "EISDIR"],
    action: START_PROGRAM,
    reason: "permission denied",
    hint: "it must be a file with its x bit set, reachable for the container's user, and not on a noexec mount",
  },
  {
    code: "ARGUMENTS_TOO_LONG",
    op: /^exec$/,
    errno: ["E2BIG"],
    action: START_PROGRAM,
    reason: "arguments and environment are too long",
    hint: "one word may have 128 KiB, all together about 2 MiB",
  },
  {
    code: "NO_WORKDIR",
    op: /^cwd/,
    errno: ["ENOENT", "ENOTDIR"],
    action: (event) => `Cannot enter working directory ${quoted(event)}`,
    reason: "no such directory in the container",
    hint: "choose another with -w, or make it in the image",
  },
  {
    code: "WORKDIR_DENIED",
    op: /^cwd/,
    errno: ["EACCES"],
    action: (event) => `Cannot enter working directory ${quoted(event)}`,
    hint: "the container's user may not enter it: choose another user with -u or directory with -w",
  },
  {
    code: "NO_MOUNT_SOURCE",
    op: /^bind$/,
    errno: ["ENOENT"],
    action: (event) => `Cannot mount ${quoted(event)}`,
    reason: "it does not exist",
    hint: "-v makes a missing folder, --mount does not; a mount point must be on a root that can be written",
  },
  {
    code: "NO_MOUNT_SOURCE",
    op: /^bind-in$/,
    errno: ["ENOENT", "ENOTDIR", "ELOOP"],
    action: (event) => `Cannot mount ${quoted(event)}`,
    reason: "no such path in the volume or image",
    hint: "a part that is mounted must be there: make it first; its links lead to nothing outside",
  },
  {
    code: "MOUNT_KIND",
    op: /^bind(-in)?$/,
    errno: ["ENOTDIR", "EISDIR"],
    action: (event) => `Cannot mount on ${quoted(event)}`,
    reason: "one side is a directory and the other a file",
    hint: "mount a directory on a directory, a file on a file",
  },
  {
    code: "MOUNT_REFUSED",
    op: /^bind(-in)?$/,
    errno: ["EPERM", "EINVAL", "EACCES"],
    hint: "a mount below the source is locked, or you may not read it: try the option bind-nonrecursive of --mount, or another source",
  },
  {
    code: "MOUNT_OWNER",
    op: /^chown$/,
    errno: ["EPERM", "EACCES"],
    reason: "it belongs to somebody else",
    hint: "the option U gives away what is yours, not what is not",
  },
  {
    code: "SESSION_KEYRING",
    op: /^session-keyring$/,
    errno: ["EDQUOT"],
    hint: "/proc/key-users shows your keys, /proc/sys/kernel/keys/maxkeys how many you may have; the default filter does without a keyring: leave --security-opt seccomp away",
  },
  {
    code: "ID_NOT_MAPPED",
    op: /^chown$/,
    errno: ["EINVAL"],
    reason: "the container's user has no id on this machine",
    hint: `get more ids in /etc/subuid and /etc/subgid; ${DOCTOR}`,
  },
  {
    code: "OVERLAY_MOUNTS",
    op: /^overlay$/,
    errno: ["EINVAL"],
    path: /\/mounts\/\d+\/merged$/,
    action: () => "Cannot mount the overlay that the option O asked for",
    reason: "other file systems are mounted below the folder",
    hint: 'name a folder without mounts in it; "findmnt -R FOLDER" lists them',
  },
  {
    code: "OVERLAY_LOOP",
    op: /^overlay/,
    errno: ["ELOOP"],
    reason: "the same directory, or one inside another, stands twice in it",
    hint: "upperdir and lowerdirs may not overlap",
  },
  {
    code: "FUSE_DEVICE",
    message: /^Cannot mount fuse-overlayfs/,
    errno: ["EACCES", "EPERM", "ENOENT", "ENXIO", "ENODEV"],
    hint: `/dev/fuse must be there and yours to open (sudo modprobe fuse; --device /dev/fuse for an outer container); --storage-driver copy does without`,
  },
  {
    code: "FUSE_ENDED",
    errno: ["ENOTCONN"],
    reason: "fuse-overlayfs is not there to serve it",
    hint: "sudo apt install fuse-overlayfs; --storage-driver copy does without",
  },
  {
    code: "FUSE_PATH",
    message: /^Cannot mount fuse-overlayfs: it cannot be told/,
    hint: "put the store elsewhere with --root DIR or TSBOX_ROOT, or use --storage-driver copy",
  },
  {
    code: "COPY_FAILED",
    op: /^overlay$/,
    message: /^Cannot copy the image's file/,
    errno: ["EPERM", "EINVAL", "EOPNOTSUPP", "ENAMETOOLONG"],
    hint: "the store's file system cannot hold it: put the store elsewhere with --root DIR or TSBOX_ROOT",
  },
  {
    code: "OVERLAY_REFUSED",
    op: /^overlay/,
    errno: ["EPERM", "EACCES"],
    hint: (_, kernel) => overlayHint(kernel, "a store that you own is needed"),
  },
  {
    code: "OVERLAY_STORE",
    op: /^overlay/,
    errno: ["EINVAL", "EOPNOTSUPP", "EREMOTE", "ESTALE"],
    hint: (_, kernel) =>
      overlayHint(
        kernel,
        "the kernel's overlay cannot lie on overlayfs, NFS or FUSE: put the store on a local disk or tmpfs with --root DIR or TSBOX_ROOT",
      ),
  },
  {
    code: "OVERLAY_BUSY",
    op: /^overlay/,
    errno: ["EBUSY"],
    hint: "its upperdir or workdir is in use by another container",
  },
  {
    code: "OVERLAY_MISSING",
    op: /^overlay/,
    errno: ["ENODEV", "ENOSYS"],
    hint: (_, kernel) => overlayHint(kernel, "load the kernel module: sudo modprobe overlay"),
  },
  {
    code: "PROC_REFUSED",
    op: /^proc$/,
    errno: ["EPERM", "EACCES"],
    hint: "an outer container masks /proc: start that one with --security-opt unmask=ALL (podman) or systempaths=unconfined (docker, tsbox); --pid host, which shares its processes, does without",
  },
  {
    code: "MOUNT_OPTIONS",
    op: /^tmpfs$|^devpts$/,
    errno: ["EINVAL"],
    hint: "look at the options of --tmpfs and --shm-size",
  },
  {
    code: "SECCOMP",
    op: /^seccomp$/,
    hint: "look at the profile of --security-opt seccomp=FILE; seccomp=unconfined does without",
  },
  {
    code: "ID_NOT_MAPPED",
    op: /^user$/,
    errno: ["EINVAL", "EPERM"],
    reason: "the container has no such id",
    hint: "the id is not among those mapped into the container: choose another with -u, or get more ids in /etc/subuid and /etc/subgid",
  },
  {
    code: "RLIMIT",
    op: /^rlimit$/,
    errno: ["EPERM", "EINVAL"],
    reason: "above your own hard limit",
    hint: '"ulimit -H -a" shows what you may give away',
  },
  {
    code: "OOM_SCORE",
    op: /^oom-score-adj$/,
    errno: ["EACCES", "EPERM"],
    reason: "below your own",
    hint: "without root it can only be raised",
  },
  {
    code: "CAPABILITIES",
    op: /^capabilities$/,
    hint: `a capability beyond those of the user namespace was asked for; ${DOCTOR}`,
  },
  {
    code: "CONTAINER_GONE",
    message: /process to join|namespaces of the process/,
    errno: ["ESRCH", "ENOENT"],
    action: () => "Cannot enter the container",
    reason: "it is not running any more",
    hint: '"tsbox ps -a" tells how it ended',
  },
  {
    code: "SYSCTL",
    op: /^sysctl$/,
    errno: ["ENOENT"],
    action: (event) => `Cannot set sysctl ${quoted(event)}`,
    reason: "the kernel has no such parameter here",
    hint: "its name is that of a file below /proc/sys",
  },
  {
    code: "SYSCTL",
    op: /^sysctl$/,
    action: (event) => `Cannot set sysctl ${quoted(event)}`,
    hint: "the value is none for it, or this kernel does not leave it to a user namespace (kernel.* and fs.mqueue.* need Linux 6.2)",
  },
  {
    code: "TOO_MANY_PROCESSES",
    errno: ["EAGAIN"],
    message: /process in the container|Cannot make the namespaces|process beside pid 1/,
    reason: "there are as many processes as may be",
    hint: "the limit is the container's own (--pids-limit) or yours (ulimit -u)",
  },
  {
    code: "JOIN_REFUSED",
    message: /process to join|namespaces of the process|process in the container/,
    hint: "the container must have been started by the same user, and Linux be 5.8 or later",
  },
  {
    code: "HOSTNAME_REFUSED",
    message: /^Cannot set the (host|domain) name/,
    errno: ["EPERM"],
    hint: "an outer container's filter refuses it: leave --hostname away, or start that one with --security-opt seccomp=unconfined",
  },
  {
    code: "MAP_TOOLS_MISSING",
    message: /program that writes the id map/,
    hint: "sudo apt install uidmap",
  },
  {
    code: "SUBIDS",
    message: /id map.*(range|not allowed|subuid|subgid|uid_map|gid_map)/s,
    hint: `/etc/subuid and /etc/subgid must have a line for you, and newuidmap and newgidmap be setuid root; ${DOCTOR}`,
  },
  {
    code: "USERNS_REFUSED",
    message: /id map|setgroups/,
    errno: ["EPERM", "EACCES"],
    hint: (event) => userNamespaceFix(event.errno),
  },
  {
    // AppArmor as on Ubuntu 24.04 lets the namespace be made, and then refuses the first thing done in it.
    code: "USERNS_REFUSED",
    op: /^(private-mounts|slave-mounts|loopback)$/,
    errno: ["EPERM", "EACCES"],
    hint: (event) => userNamespaceFix(event.errno),
  },
  {
    code: "NAMESPACE_LIMIT",
    op: /^$/,
    message: /process|namespace/i,
    errno: ["ENOSPC", "EUSERS"],
    reason: "the limit on namespaces is reached",
    hint: (event) => userNamespaceFix(event.errno),
  },
  {
    code: "PROCESS_LIMIT",
    op: /^$/,
    errno: ["EAGAIN", "ENOMEM"],
    reason: "no more processes or memory",
    hint: '"ulimit -u" shows the limit on your processes',
  },
  {
    code: "USERNS_REFUSED",
    op: /^$/,
    message: /process|namespace/i,
    errno: ["EPERM", "EACCES", "EINVAL", "ENOSYS"],
    hint: (event) => userNamespaceFix(event.errno),
  },
  {
    code: "DISK_FULL",
    errno: ["ENOSPC", "EDQUOT"],
    hint: '"df" and "quota" show what is left; "tsbox rm" and "tsbox rmi" make room',
  },
  { code: "TOO_MANY_FILES", errno: ["EMFILE", "ENFILE"], hint: '"ulimit -n" shows the limit on open files' },
  {
    code: "READ_ONLY",
    errno: ["EROFS"],
    hint: "a mount point that is not in the image cannot be made on a read-only root",
  },
];

/** `said`, unless the kernel is simply too old. What is tried first anyway is told by doctor. */
function overlayHint(kernel: string, said: string): string {
  if (isOlder(kernel, "5.11"))
    return `overlayfs for users who are not root ${needsKernel("5.11", kernel)}; without --storage-driver tsbox does without it`;
  return `${said}; without --storage-driver tsbox takes what works ("tsbox doctor" tells)`;
}

/** Exit status and words of a failed set-up. */
export function explain(event: FailedEvent, kernel: string = release()): TsboxError {
  const rule = RULES.find((one) => fits(one, event));
  const [said = "", ...rest] = event.message.split(": ");
  const action = rule?.action?.(event) ?? `${visible(said)}${event.path === "" ? "" : ` ${quoted(event)}`}`;
  const reason = rule?.reason ?? (visible(rest.join(": ")) || event.errno || "the helper does not say why");
  // What the user got wrong is said in the user's words; the rest says where in the plan it is.
  const isOurs = rule?.action === undefined && event.op !== "";
  const where = isOurs ? ` (op ${event.index} of ${event.of}, ${event.op})` : "";
  const errno = rule?.reason === undefined && event.errno !== "" && reason !== event.errno ? `, ${event.errno}` : "";
  const hint = typeof rule?.hint === "function" ? rule.hint(event, kernel) : rule?.hint;
  return new TsboxError(`${action}: ${reason}${errno}${where}`, {
    code: rule?.code ?? "SETUP_FAILED",
    hint: hint ?? fallbackHint(event, kernel),
    exitCode: event.exitCode,
  });
}

function fallbackHint({ errno }: FailedEvent, kernel: string): string {
  if (errno === "ENOSYS") return oldKernelHint(kernel);
  return errno === "EPERM" && isFiltered()
    ? "perhaps the seccomp filter of an outer container refuses it: start that one with --security-opt seccomp=unconfined"
    : DOCTOR;
}

/** A system call that the kernel does not know. */
function oldKernelHint(kernel: string): string {
  return isOlder(kernel, OLDEST_KERNEL)
    ? `tsbox ${needsKernel(OLDEST_KERNEL, kernel)}; ${DOCTOR}`
    : `a seccomp filter around tsbox refuses it, or the kernel was built without it; ${DOCTOR}`;
}

/** A helper's failure in the same words; any other error as it is. */
export function explained(error: unknown): unknown {
  return error instanceof HelperFailure && error.event ? explain(error.event) : error;
}

function fits(rule: Rule, event: FailedEvent): boolean {
  if (rule.op !== undefined && !rule.op.test(event.op)) return false;
  if (rule.errno !== undefined && !rule.errno.includes(event.errno)) return false;
  if (rule.path !== undefined && !rule.path.test(event.path)) return false;
  return rule.message === undefined || rule.message.test(event.message);
}
