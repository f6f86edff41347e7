import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import type { Limits } from "../plan/limits.ts";
import type { UserMount } from "../plan/mounts.ts";
import type { StorageDriver } from "../plan/storage.ts";

/** What was created: written once, before the container starts; what happens later stands in its events. */
export interface ContainerRecord {
  /** 64 hexadecimal digits. */
  id: string;
  name: string;
  /** RFC 3339. */
  created: string;
  /** As the user wrote it, and the digest of the image config; both empty for `--rootfs` and `host`. */
  image: string;
  imageID: string;
  argv: string[];
  env: string[];
  cwd: string;
  /** As given: `UID[:GID]` or a name; empty for root. */
  user: string;
  hostname: string;
  labels: Record<string, string>;
  tty: boolean;
  openStdin: boolean;
  /** `none`, `host` or `container:ID`. */
  network: string;
  /** Other namespaces that are not its own, in the same words; of ipc also `private`. */
  sharing?: { pid?: string; ipc?: string; uts?: string; cgroup?: string };
  /** Absent: root inside is the caller. */
  userns?: { mode: string; uid?: number; gid?: number };
  domainname?: string;
  dns?: { servers?: string[]; search?: string[]; options?: string[] };
  /** As --add-host has it: lines of /etc/hosts. */
  addHosts?: string[];
  autoRemove: boolean;
  readOnly: boolean;
  init: boolean;
  /** Of processes; absent: none. */
  processLimit?: number;
  /** What only a cgroup can hold, as the user asked. */
  limits?: Limits;
  /** It has no cgroup of its own (--cgroups disabled). */
  cgroupsDisabled?: boolean;
  /** As the user asked. */
  kernel?: {
    privileged?: boolean;
    devices?: { source: string; target: string }[];
    sysctls?: string[];
  };
  groupAdd?: string[];
  /** Bytes of the file system in memory that holds what it writes to its root; absent: that lies on disk. */
  storageSize?: number;
  /** How the root is made of the image's layers; absent: overlay. */
  storage?: StorageDriver;
  mounts: UserMount[];
  /** As --ulimit named them; programs that are executed into it have them, too. */
  ulimits?: { name: string; soft: number | "unlimited"; hard: number | "unlimited" }[];
  /** The streams that --attach of create or run named; absent: all. */
  attach?: string[];
  /** As asked for: --cap-add, --cap-drop, --shm-size. */
  capAdd?: string[];
  capDrop?: string[];
  shmSize?: number;
  stopSignal: string;
  /** Milliseconds. */
  stopTimeout: number;
  /** The image's health check, or that of the flags. Times in milliseconds. */
  healthcheck?: Healthcheck;
  /** The process that has made it to start it at once; absent: `create` has made it. */
  maker?: { pid: number; startTime: string };
  /** Absent: a file without a limit. */
  log?: { driver: string; maxSize?: number; maxFiles?: number };
  /** What can be reached from outside. */
  ports?: PortBinding[];
  publishAll?: boolean;
  /** What an exec into it needs again. */
  uidMap: { inside: number; outside: number; count: number }[];
  gidMap: { inside: number; outside: number; count: number }[];
  /** Hexadecimal mask. */
  capabilities: string;
  noNewPrivileges: boolean;
  seccomp?: string;
  bootID: string;
  /** Directories a process could find its user in, topmost first: /etc/passwd of the image. */
  lowers: string[];
  entrypoint: string[];
  command: string[];
  config: object;
}

export interface PortBinding {
  containerPort: number;
  protocol: string;
  hostAddress: string;
  hostPort: number;
}

export interface Healthcheck {
  /** The program and its words; a shell's line as `/bin/sh -c LINE`. */
  command: string[];
  interval: number;
  timeout: number;
  startPeriod: number;
  startInterval: number;
  retries: number;
  onFailure: "none" | "kill" | "restart" | "stop";
}

/** Files of a container's folder that the monitor reads: `always`, `on-failure 3`; and the mark of a stop on purpose. */
export const RESTART_POLICY = "restart";
export const STOP_MARK = "stop";

/** The folders and files of containers in the store: one folder each, and one symbolic link a name. */
export class ContainerFiles {
  readonly #containers: string;
  readonly #names: string;

  constructor(root: string) {
    this.#containers = join(root, "containers");
    this.#names = join(root, "names");
  }

  dir(id: string): string {
    // join would look for dots, three times a container in `ps`
    return `${this.#containers}/${id}`;
  }

  /** Makes the folder and takes the name; two processes can't take the same one. */
  create(id: string, name: string): string {
    this.#take(id, name, "create container");
    try {
      mkdirSync(this.dir(id), { recursive: true, mode: 0o711 });
    } catch (error) {
      this.releaseName({ id, name });
      throw error;
    }
    return this.dir(id);
  }

  #take(id: string, name: string, action: string): void {
    mkdirSync(this.#names, { recursive: true, mode: 0o700 });
    const link = join(this.#names, name);
    for (;;) {
      try {
        symlinkSync(id, link);
        return;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
        const holder = this.#holder(name);
        if (holder === undefined || !existsSync(this.dir(holder))) {
          // left by a process that was killed between the two steps
          this.#unlinkName(name);
          continue;
        }
        throw new TsboxError(`Cannot ${action} "${name}": the name is taken by ${holder.slice(0, 12)}`, {
          code: "NAME_TAKEN",
          hint: `use another --name, --replace, or "tsbox rm ${name}"`,
        });
      }
    }
  }

  write(record: ContainerRecord): void {
    const path = join(this.dir(record.id), "record.json");
    writeFileSync(`${path}.new`, JSON.stringify(record), { mode: 0o600 });
    renameSync(`${path}.new`, path);
  }

  read(id: string): ContainerRecord | undefined {
    try {
      return JSON.parse(readFileSync(`${this.dir(id)}/record.json`, "utf8")) as ContainerRecord;
    } catch {
      return undefined;
    }
  }

  ids(): string[] {
    return namesIn(this.#containers).filter((name) => /^[0-9a-f]{64}$/.test(name));
  }

  all(): ContainerRecord[] {
    return this.ids().flatMap((id) => this.read(id) ?? []);
  }

  /** Folders without a record that nobody has touched since (milliseconds since 1970). */
  unfinished(since: number): string[] {
    return this.ids()
      .map((id) => this.dir(id))
      .filter((dir) => !existsSync(join(dir, "record.json")) && untouched(dir, since));
  }

  /** Takes back names of containers that are not there, and have not been since. */
  releaseStrayNames(since: number): void {
    for (const name of namesIn(this.#names)) {
      const holder = this.#holder(name);
      if (holder !== undefined && !existsSync(this.dir(holder)) && untouched(join(this.#names, name), since)) {
        this.#unlinkName(name);
      }
    }
  }

  /** Gives the container another name; the record follows the link, which decides. */
  rename(record: ContainerRecord, name: string): ContainerRecord {
    this.#take(record.id, name, "rename container to");
    const renamed = { ...record, name };
    this.write(renamed);
    this.releaseName(record);
    return renamed;
  }

  /** By name, id, or the unique start of an id. */
  find(word: string): ContainerRecord {
    const named = /^[\w.-]+$/.test(word) ? this.#holder(word) : undefined;
    const record = named === undefined ? undefined : this.read(named);
    if (record) return record;
    const matches = /^[0-9a-f]+$/.test(word) ? this.ids().filter((id) => id.startsWith(word)) : [];
    if (matches.length > 1) {
      throw new TsboxError(`Cannot use container "${word}": ${matches.length} ids start with it`, {
        code: "AMBIGUOUS_CONTAINER",
        hint: "give more digits of the id",
        exitCode: 1,
      });
    }
    const found = matches[0] === undefined ? undefined : this.read(matches[0]);
    if (!found) {
      throw new TsboxError(`Cannot find container "${word}": no name or id matches`, {
        code: "NO_SUCH_CONTAINER",
        hint: `"tsbox ps -a" lists them`,
        exitCode: 1,
      });
    }
    return found;
  }

  /** Gives the name back. The folder is removed by the helper: files in it may belong to subordinate ids. */
  releaseName(record: Pick<ContainerRecord, "id" | "name">): void {
    if (this.#holder(record.name) === record.id) this.#unlinkName(record.name);
  }

  #holder(name: string): string | undefined {
    try {
      return readlinkSync(join(this.#names, name));
    } catch {
      return undefined;
    }
  }

  #unlinkName(name: string): void {
    try {
      unlinkSync(join(this.#names, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function untouched(path: string, since: number): boolean {
  const found = lstatSync(path, { throwIfNoEntry: false });
  return found !== undefined && found.mtimeMs < since;
}
