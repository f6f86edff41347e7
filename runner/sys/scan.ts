import { readInto, scanInto } from "./native.ts";

/*
 * Folders and small files in one call each: Node's own need four or five calls and a dozen objects for every file, and a build's context may have
 * 100,000. What comes from C (library.c, struct scanned) is in this machine's byte order, which is little-endian wherever tsbox runs.
 */

/** Length of what stands before an entry's name, and of the stamp that it begins with: inode, size, mtime and ctime, eight bytes each. */
const HEADER = 48;
const STAMP = 32;

const S_IFMT = 0o170000;

export type ScannedKind = "directory" | "file" | "symlink" | "other";

const S_IFDIR = 0o040000;
const S_IFREG = 0o100000;
const S_IFLNK = 0o120000;

function kindOf(mode: number): ScannedKind {
  const type = mode & S_IFMT;
  if (type === S_IFDIR) return "directory";
  if (type === S_IFREG) return "file";
  return type === S_IFLNK ? "symlink" : "other";
}

/** An entry of a folder, as lstat saw it. */
export interface Scanned {
  name: string;
  kind: ScannedKind;
  mode: number;
  size: number;
  mtimeSeconds: number;
  /** Hexadecimal; changes whenever the file does. */
  stamp: string;
  hasAttributes?: true;
  /** Names the inode, where it has more names than this one. */
  shared?: string;
}

let room = Buffer.allocUnsafeSlow(1 << 20);

/**
 * A folder's entries as C gives them; valid until the next call. The bytes change whenever a name, a mode, a size or a time does. With `attributes` they
 * also say which entries have extended ones; a change of those changes a time.
 */
export function scanBytes(path: string, attributes = false): Buffer {
  for (;;) {
    const length = scanInto(path, room, attributes);
    if (length !== undefined) return room.subarray(0, length);
    room = Buffer.allocUnsafeSlow(room.length * 4);
  }
}

/** The folders among what scanBytes() gave. */
export function foldersIn(bytes: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at + 44);
    if ((bytes.readUInt32LE(at + 32) & S_IFMT) === S_IFDIR) names.push(nameAt(bytes, at, length));
    at += HEADER + ((length + 7) & ~7);
  }
  return names;
}

/** The entries of a folder, sorted by name. */
export function scanFolder(path: string): Scanned[] {
  const bytes = scanBytes(path, true);
  const entries: Scanned[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32LE(at + 44);
    const mode = bytes.readUInt32LE(at + 32);
    const kind = kindOf(mode);
    const shared = kind === "file" && bytes.readUInt32LE(at + 36) > 1;
    entries.push({
      name: nameAt(bytes, at, length),
      kind,
      mode: mode & 0o7777,
      size: number(bytes, at + 8),
      mtimeSeconds: seconds(bytes, at + 16),
      stamp: bytes.toString("hex", at, at + STAMP),
      ...(mode >>> 31 === 1 && { hasAttributes: true }),
      ...(shared && { shared: `${bytes.readUInt32LE(at + 40)}:${bytes.toString("hex", at, at + 8)}` }),
    });
    at += HEADER + ((length + 7) & ~7);
  }
  return entries.sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** The later of a stamp's two times, in milliseconds since 1970. */
export function stampTime(stamp: string): number {
  const bytes = Buffer.from(stamp, "hex");
  return Math.max(number(bytes, 16), number(bytes, 24)) / 1e6;
}

/** Whether both times of a stamp are whole seconds: its file system may count in nothing smaller. */
export function isCoarse(stamp: string): boolean {
  const bytes = Buffer.from(stamp, "hex");
  return bytes.readBigInt64LE(16) % 1_000_000_000n === 0n && bytes.readBigInt64LE(24) % 1_000_000_000n === 0n;
}

/** Inode, size, mtime and ctime (nanoseconds) as the scan tells them. */
export function stampOf(stats: { ino: bigint; size: bigint; mtimeNs: bigint; ctimeNs: bigint }): string {
  const bytes = Buffer.alloc(STAMP);
  bytes.writeBigUInt64LE(stats.ino, 0);
  bytes.writeBigUInt64LE(stats.size, 8);
  bytes.writeBigInt64LE(stats.mtimeNs, 16);
  bytes.writeBigInt64LE(stats.ctimeNs, 24);
  return bytes.toString("hex");
}

const small = Buffer.allocUnsafeSlow(STAMP + (256 << 10));

/** A small regular file whole, and its stamp after the reading; undefined: it is larger. The content is valid until the next call. */
export function readSmall(path: string): { content: Buffer; stamp: string } | undefined {
  const length = readInto(path, small);
  if (length === undefined) return undefined;
  return { content: small.subarray(STAMP, STAMP + length), stamp: small.toString("hex", 0, STAMP) };
}

/** Whole seconds of a time in nanoseconds; the long way only where rounding could reach the next one. */
function seconds(bytes: Buffer, at: number): number {
  const time = number(bytes, at) / 1e9;
  const whole = Math.floor(time);
  return time - whole < 0.999999 ? whole : Number(bytes.readBigInt64LE(at) / 1_000_000_000n);
}

/** Good to a microsecond, which is more than what it is for. */
function number(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readInt32LE(at + 4) * 0x1_0000_0000;
}

function nameAt(bytes: Buffer, at: number, length: number): string {
  return bytes.toString("utf8", at + HEADER, at + HEADER + length);
}
