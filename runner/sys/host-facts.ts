import { accessSync, constants, readFileSync } from "node:fs";
import { userInfo } from "node:os";
import { delimiter, join } from "node:path";

/** What the runner needs to know of this machine and caller: gathered once, then passed on as a value. */
export interface HostFacts {
  uid: number;
  gid: number;
  user: string;
  home: string;
  /** Text of /etc/subuid and /etc/subgid; empty when absent. */
  subuid: string;
  subgid: string;
  mapTools?: { uid: string; gid: string } | undefined;
  /** Programs that are setuid root gain nothing: an outer sandbox has seen to that. */
  noNewPrivileges: boolean;
  /** Texts of /proc/self/uid_map and gid_map. */
  maps: { uid: string; gid: string };
  /** Of root only: texts of /proc/self/uid_map and gid_map. In a container root is not the machine's, and has some ids only. */
  ownMaps?: { uid: string; gid: string } | undefined;
  /** As `uname -r` says. */
  kernel: string;
  /** As Node's process.arch. */
  arch: string;
  cwd: string;
  /** Of this boot; pids mean nothing across boots. */
  bootID: string;
}

/** Each fact is looked up when it is first asked for: `exec` and `ps` ask for few, and each costs some system calls. */
export function gatherHostFacts(env: NodeJS.ProcessEnv = process.env): HostFacts {
  const uid = process.geteuid?.() ?? 0;
  const maps = () => ({ uid: readText("/proc/self/uid_map"), gid: readText("/proc/self/gid_map") });
  return lazily<HostFacts>({
    uid: () => uid,
    gid: () => process.getegid?.() ?? 0,
    user: () => userName(uid),
    home: () => env.HOME ?? "/",
    subuid: () => readText("/etc/subuid"),
    subgid: () => readText("/etc/subgid"),
    mapTools: () => mapTools(env),
    // of root only
    ownMaps: () => (uid === 0 ? maps() : undefined),
    maps,
    noNewPrivileges: () => /^NoNewPrivs:\s*1/m.test(readText("/proc/self/status")),
    kernel: () => readText("/proc/sys/kernel/osrelease").trim(),
    arch: () => process.arch,
    cwd: currentDirectory,
    bootID: () => readText("/proc/sys/kernel/random/boot_id").trim(),
  });
}

function mapTools(env: NodeJS.ProcessEnv): HostFacts["mapTools"] {
  const [uid, gid] = [findProgram("newuidmap", env), findProgram("newgidmap", env)];
  return uid && gid ? { uid, gid } : undefined;
}

/** An object whose properties are computed at their first use. */
function lazily<T extends object>(values: { [K in keyof Required<T>]: () => T[K] }): T {
  const result = {} as T;
  for (const key of Object.keys(values) as (keyof T)[]) {
    const set = (value: unknown) =>
      Object.defineProperty(result, key, { value, configurable: true, enumerable: true, writable: true });
    const get = () => {
      const value = values[key]();
      set(value);
      return value;
    };
    Object.defineProperty(result, key, { configurable: true, enumerable: true, get, set });
  }
  return result;
}

/** A file's text, or "" when it cannot be read. */
export function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}

/** Absolute path of an executable in PATH; the system's own folders are tried last, since some PATHs lack them. */
export function findProgram(name: string, env: NodeJS.ProcessEnv = process.env): string | undefined {
  for (const folder of [...(env.PATH ?? "").split(delimiter), "/usr/bin", "/usr/sbin"]) {
    if (!folder.startsWith("/")) continue;
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // the next folder
    }
  }
  return undefined;
}

/** A uid without passwd entry (usual in CI containers) has no name; its number serves. */
function userName(uid: number): string {
  try {
    return userInfo().username;
  } catch {
    return String(uid);
  }
}

function currentDirectory(): string {
  try {
    return process.cwd();
  } catch {
    return "/";
  }
}
