import { closeSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { getSystemErrorName } from "node:util";
import type { KoffiFunc } from "koffi";

/**
 * Those of the system calls that Node lacks, from helper-c/library.c, which wait, or are seldom made: koffi and the library are loaded at the first call,
 * which costs about 7 ms. All others come by helper-c/addon.c.
 */
const PROTOTYPES = {
  tsbox_pidfd_signal: "int tsbox_pidfd_signal(int pid, uint64_t started, int number)",
  tsbox_pidfd_wait: "int tsbox_pidfd_wait(int pid, uint64_t started, int milliseconds)",
  tsbox_setxattr: "int tsbox_setxattr(const char *path, const char *name, const uint8_t *value, size_t length)",
} as const;

type FunctionName = keyof typeof PROTOTYPES;
type NativeFunction = KoffiFunc<(...args: unknown[]) => unknown>;

const loaded = new Map<FunctionName, NativeFunction>();
let library: { func(prototype: string): NativeFunction } | undefined;

function native(name: FunctionName): NativeFunction {
  let found = loaded.get(name);
  if (!found) {
    library ??= (requireKoffi() as { load(path: string): NonNullable<typeof library> }).load(libraryPath());
    found = library.func(PROTOTYPES[name]);
    loaded.set(name, found);
  }
  return found;
}

/** koffi is not bundled: it brings a binary of its own. */
function requireKoffi(): unknown {
  return createRequire(typeof __filename === "string" ? __filename : import.meta.url)("koffi");
}

function libraryPath(): string {
  if (process.env.TSBOX_LIB) return process.env.TSBOX_LIB;
  const here = typeof __dirname === "string" ? __dirname : dirname(fileURLToPath(import.meta.url));
  const beside = join(here, "libtsbox.so");
  return existsSync(beside) ? beside : join(here, "..", "..", "dist", "libtsbox.so");
}

/** An error as Node's own file functions throw: `code` is the errno name. */
function checked(result: number, call: string, path?: string): number {
  if (result >= 0) return result;
  const code = getSystemErrorName(result);
  const error = new Error(`${code}: ${call}${path === undefined ? "" : ` '${path}'`}`);
  throw Object.assign(error, { code, errno: result, syscall: call, ...(path !== undefined && { path }) });
}

/** The door that costs nothing to open: helper-c/addon.c tells why there are two. */
interface Addon {
  replace(path: string, argv: string[]): number;
  openInRoot(root: string, path: string, flags: number): number;
  scanFolder(path: string, out: Buffer, attributes: number): number;
  readSmall(path: string, out: Buffer): number;
  changes(upper: string, init: string, lowers: string[]): Buffer | number;
  tryLock(path: string, exclusive: number): number;
  lockIsFree(path: string): number;
  memfd(data: Uint8Array): number;
  pipe(out: Buffer, size: number): number;
  socketpair(out: Buffer, stream: number): number;
  shareMemory(bytes: Uint8Array): number;
  sendFds(socket: number, data: Uint8Array, fds: Uint8Array): number;
  getxattr(path: string, name: string, out: Uint8Array): number;
  listxattr(path: string, out: Uint8Array): number;
  startTime(pid: number): number;
}

let addon: Addon | undefined;

function quick(): Addon {
  if (!addon) {
    const module = { exports: {} as Addon };
    process.dlopen(module, libraryPath());
    addon = module.exports;
  }
  return addon;
}

/** Becomes another program: nothing of this process is left but its descriptors 0, 1 and 2. `argv` includes the program's own name. */
export function replaceProcess(path: string, argv: string[]): never {
  checked(quick().replace(path, argv), "execve", path);
  throw new Error("unreachable: execve returned");
}

/** Opens `path` as if `root` were `/`: links and `..` stay below it. Returns a descriptor, for reading unless `flags` say otherwise. */
export function openInRoot(root: string, path: string, flags = 0): number {
  return checked(quick().openInRoot(root, path, flags), "openat2", path);
}

/** The entries of a folder into `out`; scan.ts tells what they look like. Returns their bytes, or undefined where `out` is too small. */
export function scanInto(path: string, out: Buffer, attributes: boolean): number | undefined {
  const result = quick().scanFolder(path, out, attributes ? 1 : 0);
  if (result < 0 && getSystemErrorName(result) === "EOVERFLOW") return undefined;
  return checked(result, "scandir", path);
}

/** A regular file's stamp and content into `out`. Returns the length of the content, or undefined where `out` is too small. */
export function readInto(path: string, out: Buffer): number | undefined {
  const result = quick().readSmall(path, out);
  if (result < 0 && getSystemErrorName(result) === "EFBIG") return undefined;
  return checked(result, "read", path);
}

/**
 * What an overlay's upper directory changed in the layers below it (topmost first), in the lines of the helper's `changes`; undefined where this process may not
 * see all of it, or something else is in the way, which the helper can tell better.
 */
export function changesBelow(upper: string, init: string, lowers: string[]): Buffer | undefined {
  const found = quick().changes(upper, init, lowers);
  return typeof found === "number" ? undefined : found;
}

/**
 * Takes a flock on a file, which is made when missing; undefined when another process has it. The lock lives until `unlock(fd)` or the end of
 * this process.
 */
export function tryLock(path: string, mode: "shared" | "exclusive" = "exclusive"): number | undefined {
  const result = quick().tryLock(path, mode === "exclusive" ? 1 : 0);
  if (result < 0 && ["EAGAIN", "EWOULDBLOCK"].includes(getSystemErrorName(result))) return undefined;
  return checked(result, "flock", path);
}

/** The longest that a lock which is free stays unnoticed (milliseconds). */
const LOOK_AGAIN = 50;

/**
 * Like tryLock, but waits for other processes; this process goes on meanwhile. It asks again and again: a thread that waits in the kernel is one of the four
 * that Node has for files and compression, and whoever holds the lock, in this process too, may need them to get done.
 */
export async function lock(path: string, mode: "shared" | "exclusive" = "exclusive"): Promise<number> {
  for (let pause = 1; ; pause = Math.min(2 * pause, LOOK_AGAIN)) {
    const taken = tryLock(path, mode);
    if (taken !== undefined) return taken;
    await new Promise((resolve) => setTimeout(resolve, pause));
  }
}

export function unlock(fd: number): void {
  closeSync(fd);
}

/** Whether no process holds a flock on the file (or there is no such file). */
export function lockIsFree(path: string): boolean {
  return checked(quick().lockIsFree(path), "flock", path) === 1;
}

/** Start time of a process in clock ticks since boot; 0 when there is none, or what is left of it waits to be reaped. */
export function startTimeOf(pid: number): number {
  return checked(quick().startTime(pid), "startTime");
}

/** Sends a signal to the process with this pid and start time; false when it is gone. */
export function sendSignal(pid: number, startTime: string, signal: number): boolean {
  const result = native("tsbox_pidfd_signal")(pid, BigInt(startTime), signal) as number;
  if (result < 0 && getSystemErrorName(result) === "ESRCH") return false;
  checked(result, "pidfd_send_signal");
  return true;
}

/** Waits for a process to end: true when it is gone, false after `milliseconds`. */
export async function waitForExit(pid: number, startTime: string, milliseconds: number): Promise<boolean> {
  const result = await new Promise<number>((resolve, reject) => {
    native("tsbox_pidfd_wait").async(
      pid,
      BigInt(startTime),
      Math.ceil(milliseconds),
      (error: Error | null, value: unknown) => (error ? reject(error) : resolve(value as number)),
    );
  });
  return checked(result, "pidfd_open") === 0;
}

/** A nameless, sealed file with this content. */
export function memoryFile(data: Uint8Array): number {
  return checked(quick().memfd(data), "memfd_create");
}

/** A pipe: `[read, write]`; one of `size` bytes, where it can be had. */
export function makePipe(size = 0): [number, number] {
  const out = Buffer.alloc(8);
  checked(quick().pipe(out, size), "pipe2");
  return [out.readInt32LE(0), out.readInt32LE(4)];
}

/** Two connected sockets that keep message boundaries, or pass a stream of bytes. */
export function makeSocketPair(kind: "packets" | "stream" = "packets"): [number, number] {
  const out = Buffer.alloc(8);
  checked(quick().socketpair(out, kind === "stream" ? 1 : 0), "socketpair");
  return [out.readInt32LE(0), out.readInt32LE(4)];
}

/**
 * Makes memory one that other processes can map, and returns a descriptor for them. It must be new, of whole pages that nobody else has a part of, and never
 * grow: a WebAssembly.Memory with `shared` and one size.
 */
export function shareMemory(bytes: Uint8Array): number {
  return checked(quick().shareMemory(bytes), "mmap");
}

export function closeFd(fd: number): void {
  closeSync(fd);
}

/** Sends one message with copies of descriptors over a socket. */
export function sendFds(socket: number, data: Uint8Array, fds: number[]): void {
  checked(quick().sendFds(socket, data, new Uint8Array(Int32Array.from(fds).buffer)), "sendmsg");
}

/** The kernel's own limits: no value or list of names is longer (XATTR_SIZE_MAX, XATTR_LIST_MAX). */
const XATTR_MAX = 65536;
const room = Buffer.allocUnsafeSlow(XATTR_MAX);

/** An extended attribute of the name itself (a link is not followed); undefined when it has none of that name. */
export function getXattr(path: string, name: string): Buffer | undefined {
  const value = room;
  const length = quick().getxattr(path, name, value);
  if (length < 0 && getSystemErrorName(length) === "ENODATA") return undefined;
  return Buffer.from(value.subarray(0, checked(length, "lgetxattr", path)));
}

export function setXattr(path: string, name: string, value: Uint8Array): void {
  checked(native("tsbox_setxattr")(path, name, value, value.length) as number, "lsetxattr", path);
}

/** The names of a file's extended attributes; a link is not followed. */
export function listXattrs(path: string): string[] {
  const names = room;
  const length = checked(quick().listxattr(path, names), "llistxattr", path);
  return names.subarray(0, length).toString().split("\0").slice(0, -1);
}
