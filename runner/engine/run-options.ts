/**
 * What a face asks of `run` and `exec`: plain data, already parsed and checked for form, not yet compared with the image or the
 * host. Optional means "the user did not say": then the image's config or the engine's default decides.
 */

import type { Platform } from "../oci/types.ts";
import type { Limits } from "../plan/limits.ts";
import type { ConnectionOptions } from "../registry/options.ts";

/** When to ask the registry: `newer` pulls only if its digest differs from the stored one. */
export type PullPolicy = "always" | "missing" | "never" | "newer";

/** Another container, by id or name. */
export type OfContainer = `container:${string}`;

/** `none`: a network namespace with loopback only. `host`: the host's own. */
export type NetworkMode = "none" | "host" | OfContainer;

/** Namespaces that are somebody else's; absent: the container's own. `private`: nobody else may have it, either. */
export interface Sharing {
  pid?: "host" | OfContainer;
  ipc?: "host" | "private" | OfContainer;
  uts?: "host" | OfContainer;
  cgroup?: "host" | OfContainer;
}

/** What /etc/resolv.conf is to say instead of what the host's does; an empty list: nothing. */
export interface DnsOptions {
  servers?: string[];
  search?: string[];
  options?: string[];
}

export type Propagation = "private" | "rprivate" | "slave" | "rslave" | "shared" | "rshared";

export interface BindMount {
  type: "bind";
  /** Absolute path on the host; the face has resolved relative ones. */
  source: string;
  /** Absolute path in the container. */
  target: string;
  readOnly: boolean;
  /** Take the mounts below the source along; docker's default. */
  recursive: boolean;
  propagation?: Propagation;
  /** Make a missing source as a directory (`-v`); otherwise a missing source is an error (`--mount`). */
  createSource: boolean;
  /** Any of `nosuid`, `nodev`, `noexec` (also `suid`, `dev`, `exec`, which undo them). */
  flags: MountFlag[];
  /** `O`: what is written inside is the container's alone. */
  overlay: boolean;
  /** `U`: everything in it is given to the container's user. */
  chown: boolean;
}

export type MountFlag = "nosuid" | "nodev" | "noexec" | "suid" | "dev" | "exec";

export interface TmpfsMount {
  type: "tmpfs";
  target: string;
  readOnly: boolean;
  /** tmpfs's own options as the kernel takes them: `size=64m`, `mode=1777`, `nr_inodes=…`. */
  options: string[];
  flags: MountFlag[];
  /** It begins with what the image has there; otherwise empty. */
  copy?: boolean;
}

export interface VolumeMount {
  type: "volume";
  /** Absent: an anonymous volume that goes with the container. */
  name?: string;
  target: string;
  readOnly: boolean;
  /** Leave a fresh volume empty instead of copying what the image has at the target. */
  noCopy: boolean;
  flags: MountFlag[];
  chown: boolean;
  /** A folder or file in the volume, which is mounted instead of the whole. */
  subpath?: string;
  /** Driver options and labels for a volume that is made. */
  options: Record<string, string>;
  labels: Record<string, string>;
}

export interface ImageMount {
  type: "image";
  image: string;
  target: string;
  readOnly: boolean;
  subpath?: string;
}

export type MountRequest = BindMount | TmpfsMount | VolumeMount | ImageMount;

/** What becomes of the `VOLUME`s of an image. */
export type ImageVolumes = "anonymous" | "tmpfs" | "ignore";

/** A resource limit as `prlimit` names it: `nofile`, `nproc`, `core`… */
export interface Ulimit {
  name: string;
  soft: number | "unlimited";
  hard: number | "unlimited";
}

/** `keep-id` maps the caller to the same id inside, or to the ids given. */
export interface KeepId {
  mode: "keep-id";
  uid?: number;
  gid?: number;
}

/** Where the root file system comes from. `host` and `base` are image names like any other. */
export type RootSource = { image: string } | { rootfs: string };

/** The part of `run` and `exec` that describes one process. */
export interface ProcessOptions {
  detach: boolean;
  /** Keep standard input open. */
  interactive: boolean;
  /** Give the process a terminal. */
  tty: boolean;
  /** Bytes that, typed in this order, leave the terminal; none: nothing does. */
  detachKeys?: number[];
  /** `NAME=VALUE` in the order given, `--env-file` first; a later one wins. */
  env: string[];
  /** Variables to take out of the image's (or container's) own environment: `-e NAME` where the host has no NAME. */
  unsetEnv: string[];
  workdir?: string;
  /** `UID[:GID]` or `NAME[:GROUP]`, to be looked up inside the container. */
  user?: string;
}

/** What the flags say of health checks; the rest is the image's. Times in milliseconds. */
export interface HealthOptions {
  disabled: boolean;
  /** As an image's config has it: `CMD` and words, `CMD-SHELL` and a line, or `NONE`. */
  test?: string[];
  interval?: number;
  timeout?: number;
  startPeriod?: number;
  startInterval?: number;
  retries?: number;
  onFailure?: "none" | "kill" | "restart" | "stop";
}

export interface LogOptions {
  /** `none`, `passthrough`, or a name that stands for files. */
  driver: string;
  /** Bytes of one file; absent or 0: no limit. */
  maxSize?: number;
  maxFiles?: number;
}

/** A port of the container and where it is to be reached. */
export interface PublishRequest {
  /** Absent: every address of the host. */
  address?: string;
  /** One of these; absent: any that is free. */
  hostPorts?: { first: number; last: number };
  containerPort: number;
}

/** What of the kernel's own files and devices is wished. */
export interface KernelRequest {
  /** Everything that the caller may have: all devices, nothing hidden. Capabilities and filter are options of their own. */
  privileged?: boolean;
  /** Of the hidden and read-only paths, those to leave as they are: paths, patterns, or `ALL`. */
  unmask?: string[];
  /** More paths to hide. */
  mask?: string[];
  devices?: { source: string; target: string }[];
  /** All GPUs' nodes. */
  gpus?: boolean;
  /** `NAME=VALUE`. */
  sysctls?: string[];
}

export type Stream = "stdin" | "stdout" | "stderr";

export interface RunOptions extends ProcessOptions {
  source: RootSource;
  /** The words after the image; empty: the image's own command. */
  command: string[];
  name?: string;
  /** Remove a container that has the same name first. */
  replace: boolean;
  /** Remove the container when it has ended. */
  rm: boolean;
  /** Replaces the image's entrypoint and drops its command; an empty list resets both. */
  entrypoint?: string[];
  hostname?: string;
  domainname?: string;
  network: NetworkMode;
  sharing?: Sharing;
  dns?: DnsOptions;
  /** Files of the image that stay as they are. */
  imageNames?: ("hosts" | "resolv.conf")[];
  publish?: PublishRequest[];
  /** Publish every port that image or `expose` names, on ports of the host's choice. */
  publishAll?: boolean;
  /** `80/tcp` */
  expose?: string[];
  mounts: MountRequest[];
  /** Containers whose volumes and bind mounts are this one's as well. */
  volumesFrom: { container: string; readOnly: boolean }[];
  imageVolumes: ImageVolumes;
  /** The root file system cannot be written. */
  readOnly: boolean;
  /** Bytes of /dev/shm. */
  shmSize?: number;
  /** A pid 1 of tsbox's own that reaps and forwards signals. */
  init: boolean;
  /** `CAP_…` in capitals, or `ALL`. */
  capAdd: string[];
  capDrop: string[];
  /** `unconfined`, or the absolute path of a profile; absent: the default profile. */
  seccomp?: "unconfined" | { profile: string };
  noNewPrivileges: boolean;
  /** Absent: nothing but the usual. */
  kernel?: KernelRequest;
  /** Groups of the process beside those of the image, by id or name. */
  groupAdd?: string[];
  /** Lines for /etc/hosts. */
  addHosts?: string[];
  ulimits: Ulimit[];
  /** Bytes that the container may write to its root; then they are in memory. */
  storageSize?: number;
  /** Of processes; 0: none; absent: the default. */
  pidsLimit?: number;
  /** What only a cgroup can hold. */
  limits?: Limits;
  /** No cgroup of its own. */
  cgroupsDisabled?: boolean;
  userns?: KeepId;
  labels: Record<string, string>;
  pull: PullPolicy;
  platform?: Platform;
  /** How to talk to the registry, if the image has to be pulled. */
  connection?: ConnectionOptions;
  health?: HealthOptions;
  log?: LogOptions;
  /** As the monitor reads it: `always`, `unless-stopped`, `on-failure`, `on-failure 3`. */
  restart?: string;
  /** Milliseconds until SIGKILL. */
  timeout?: number;
  /** Absolute path of a file to write the container's id to; must not exist. */
  cidfile?: string;
  /** What of its streams we are attached to; absent: all of them. */
  attach?: Stream[];
  /** Pass on the signals that we get; otherwise one that ends us lets the program go on. */
  signalProxy: boolean;
  /** Show the plan instead of carrying it out. */
  printPlan: boolean;
  /** Signal that `stop` sends: `SIGTERM`… */
  stopSignal?: string;
  /** Milliseconds between the stop signal and SIGKILL. */
  stopTimeout?: number;
}

export interface ExecOptions extends ProcessOptions {
  /** Id, a unique start of one, or name. */
  container: string;
  /** At least one word. */
  command: string[];
  /** Keep all capabilities of the container's user namespace. */
  privileged: boolean;
}
