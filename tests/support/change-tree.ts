/**
 * `change-tree.ts DIR SEED STEPS`: random changes below a folder, the same for the same seed. A program of its own, because it runs inside a user
 * namespace, on an overlay. What a change finds in its way makes it fail, and the next one follows.
 */
import { execFileSync } from "node:child_process";
import {
  appendFileSync,
  chmodSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { setXattr } from "../../runner/sys/native.ts";

const [root = ".", seed = "1", steps = "100"] = process.argv.slice(2);
const random = generator(Number(seed));
const below = (n: number) => Math.floor(random() * n);
const pick = <T>(list: readonly T[]): T => list[below(list.length)] as T;

/** mulberry32 */
function generator(state: number): () => number {
  let a = state >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = a;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const NAMES = ["a", "b", "c", "d", "lib", "x y", "new\nline", "ü", "*", "-rf", `long${"g".repeat(120)}`].map((name) =>
  Buffer.from(name),
);
NAMES.push(Buffer.from([0xff, 0xfe, 0x41]), Buffer.from("wh.not"));

const join = (directory: Buffer, name: Buffer) => Buffer.concat([directory, Buffer.from("/"), name]);

/** Every path below the root, folders first met first. */
function paths(directory = Buffer.from(root), found: Buffer[] = []): Buffer[] {
  for (const name of readdirSync(directory, { encoding: "buffer" }).sort(Buffer.compare)) {
    const path = join(directory, name);
    found.push(path);
    if (lstatSync(path).isDirectory()) paths(path, found);
  }
  return found;
}

const folders = () => [Buffer.from(root), ...paths().filter((path) => lstatSync(path).isDirectory())];
const anything = () => pick(paths());
const somewhere = () => join(pick(folders()), pick(NAMES));

function content(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let i = 0; i < size; i++) bytes[i] = random() < 0.7 ? 97 + (i % 20) : below(256);
  return bytes;
}

function file(path: Buffer): void {
  const fd = openSync(fresh(path), "w", 0o600 + below(0o100));
  const size = pick([0, 1, 511, 512, 513, 5000, 70_000]);
  if (random() < 0.2) {
    ftruncateSync(fd, 3 << 20);
    writeSync(fd, content(100), 0, 100, pick([0, 1 << 20, (3 << 20) - 100]));
  } else {
    writeSync(fd, content(size));
  }
  closeSync(fd);
}

/** The calls take text: the folder, of whatever name, is reached by a descriptor. */
function attribute(path: Buffer, name: string, value: Buffer): void {
  const slash = path.lastIndexOf("/");
  const fd = openSync(path.subarray(0, slash), "r");
  try {
    setXattr(`/proc/self/fd/${fd}/${path.subarray(slash + 1)}`, name, value);
  } finally {
    closeSync(fd);
  }
}

/** Version 2 of struct vfs_cap_data: net_raw, effective. */
const CAPABILITY = Buffer.from("0100000200200000000000000000000000000000", "hex");

const CHANGES: [weight: number, change: () => void][] = [
  [10, () => file(somewhere())],
  [8, () => mkdirSync(somewhere(), { mode: pick([0o755, 0o700, 0o1777, 0o2755]) })],
  [4, () => symlinkSync(pick(["a", "../b", "/lib/c", Buffer.from([0xff])]), somewhere())],
  [1, () => execFileSync("mkfifo", [somewhere() as unknown as string], { stdio: "ignore" })],
  [5, () => linkSync(anything(), somewhere())],
  [5, () => renameSync(anything(), somewhere())],
  [6, () => unlinkSync(anything())],
  [3, () => rmSync(anything() as unknown as string, { recursive: true })],
  [3, () => again((path) => mkdirSync(path))],
  [3, () => again(file)],
  [2, () => again((path) => symlinkSync("elsewhere", path))],
  [5, () => appendFileSync(plain(anything()), content(10))],
  [4, () => chmodSync(plain(anything()), pick([0o644, 0o755, 0o4755, 0o600, 0o1777]))],
  [4, () => lchownSync(anything(), below(5), below(1000))],
  [3, () => attribute(anything(), `user.${pick(["a", "b"])}`, content(pick([0, 5, 300])))],
  [2, () => attribute(anything(), "security.capability", CAPABILITY)],
  [4, () => lutimesSync(anything(), 0, pick([1.5, 1_600_000_000.123_456, 1_700_000_000, 0]))],
];

/** What is there goes, and something else takes its name. */
function again(make: (path: Buffer) => void): void {
  const path = anything();
  rmSync(path as unknown as string, { recursive: true });
  make(path);
}

/** Not a pipe, whose writer would wait. */
function fresh(path: Buffer): Buffer {
  if (lstatSync(path, { throwIfNoEntry: false })?.isFIFO()) throw new Error("a pipe");
  return path;
}

function plain(path: Buffer): Buffer {
  // a pipe would have its writer wait
  const stat = lstatSync(path);
  if (!stat.isFile() && !stat.isDirectory()) throw new Error("a link or a pipe");
  return path;
}

const total = CHANGES.reduce((sum, [weight]) => sum + weight, 0);
for (let step = 0; step < Number(steps); step++) {
  let at = random() * total;
  const [, change] = CHANGES.find(([weight]) => {
    at -= weight;
    return at < 0;
  }) ?? [0, undefined];
  try {
    change?.();
  } catch {
    // in the way of something else; the next one
  }
}
