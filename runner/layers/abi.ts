/**
 * Mirror of wasm/abi.h and of the enums of wasm/tar_reader.h: what crosses between the layer
 * engine, the runner and the helper's apply. scripts/check-wire compares the two.
 */
export const ABI_VERSION = 1;
export const RECORD_MAX = 1 << 20;
export const RECORD_HEADER_SIZE = 80;

export const RecordKind = {
  DIRECTORY: 1,
  FILE: 2,
  SYMLINK: 3,
  HARDLINK: 4,
  CHARACTER: 5,
  BLOCK: 6,
  FIFO: 7,
  WHITEOUT: 8,
  OPAQUE: 9,
  SEGMENT: 10,
  END: 11,
} as const;
export type RecordKind = (typeof RecordKind)[keyof typeof RecordKind];

export const RecordFlag = { SPARSE: 1, LENT: 8, COPIED: 2, SAME: 4 } as const;

export const ReaderFlag = { WHITEOUTS: 1 } as const;

export const GunzipStatus = { NEED_INPUT: 1, OUTPUT: 2, END: 3, ERROR: 4 } as const;

export const LentStatus = { USED: 1, FULL: 2, ERROR: 3 } as const;

export const ReaderStatus = { NEED_INPUT: 1, RECORD: 2, DATA: 3, SKIP: 4, END: 5, ERROR: 6 } as const;

export interface Xattr {
  name: Uint8Array;
  value: Uint8Array;
}

/** One change to a root filesystem; see abi.h for what each kind carries. Names are bytes, as on disk. */
export interface LayerRecord {
  kind: RecordKind;
  flags: number;
  mode: number;
  uid: number;
  gid: number;
  devMajor: number;
  devMinor: number;
  mtimeSeconds: number;
  mtimeNanoseconds: number;
  /** FILE: length of the file when complete. */
  size: number;
  /** Content bytes that follow the record in the stream. */
  data: number;
  /** SEGMENT: where they go. */
  offset: number;
  path: Uint8Array;
  link: Uint8Array;
  xattrs: readonly Xattr[];
}

const NONE = new Uint8Array(0);

/** A record of a kind, everything else zero and empty unless given. */
export function layerRecord(kind: RecordKind, fields: Partial<LayerRecord> = {}): LayerRecord {
  return {
    kind,
    flags: 0,
    mode: 0,
    uid: 0,
    gid: 0,
    devMajor: 0,
    devMinor: 0,
    mtimeSeconds: 0,
    mtimeNanoseconds: 0,
    size: 0,
    data: 0,
    offset: 0,
    path: NONE,
    link: NONE,
    xattrs: [],
    ...fields,
  };
}

/** The byte strings of the result are copies: the bytes given may be the engine's memory. */
export function decodeRecord(bytes: Uint8Array): LayerRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < RECORD_HEADER_SIZE) throw new RangeError(`a record of ${bytes.length} bytes is too short`);
  const pathLength = view.getUint32(64, true);
  const linkLength = view.getUint32(68, true);
  const xattrLength = view.getUint32(72, true);
  const length = RECORD_HEADER_SIZE + pathLength + linkLength + xattrLength;
  if (view.getUint32(0, true) !== length || bytes.length < length) throw new RangeError("a record's lengths disagree");
  let at = RECORD_HEADER_SIZE;
  const take = (n: number) => {
    at += n;
    return Uint8Array.from(bytes.subarray(at - n, at)); // not slice(): a Buffer's is no copy
  };
  const path = take(pathLength);
  const link = take(linkLength);
  const xattrs: Xattr[] = [];
  for (let left = view.getUint16(6, true); left > 0; left--) {
    const nameLength = view.getUint32(at, true);
    const valueLength = view.getUint32(at + 4, true);
    at += 8;
    xattrs.push({ name: take(nameLength), value: take(valueLength) });
  }
  if (at !== length) throw new RangeError("a record's extended attributes disagree with their length");
  return {
    kind: bytes[4] as RecordKind,
    flags: bytes[5] ?? 0,
    mode: view.getUint32(8, true),
    uid: view.getUint32(12, true),
    gid: view.getUint32(16, true),
    devMajor: view.getUint32(20, true),
    devMinor: view.getUint32(24, true),
    mtimeNanoseconds: view.getUint32(28, true),
    mtimeSeconds: Number(view.getBigInt64(32, true)),
    size: Number(view.getBigUint64(40, true)),
    data: Number(view.getBigUint64(48, true)),
    offset: Number(view.getBigUint64(56, true)),
    path,
    link,
    xattrs,
  };
}

export function encodeRecord(record: LayerRecord): Uint8Array {
  let xattrLength = 0;
  for (const { name, value } of record.xattrs) xattrLength += 8 + name.length + value.length;
  const length = RECORD_HEADER_SIZE + record.path.length + record.link.length + xattrLength;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, length, true);
  bytes[4] = record.kind;
  bytes[5] = record.flags;
  view.setUint16(6, record.xattrs.length, true);
  view.setUint32(8, record.mode, true);
  view.setUint32(12, record.uid, true);
  view.setUint32(16, record.gid, true);
  view.setUint32(20, record.devMajor, true);
  view.setUint32(24, record.devMinor, true);
  view.setUint32(28, record.mtimeNanoseconds, true);
  view.setBigInt64(32, BigInt(record.mtimeSeconds), true);
  view.setBigUint64(40, BigInt(record.size), true);
  view.setBigUint64(48, BigInt(record.data), true);
  view.setBigUint64(56, BigInt(record.offset), true);
  view.setUint32(64, record.path.length, true);
  view.setUint32(68, record.link.length, true);
  view.setUint32(72, xattrLength, true);
  let at = RECORD_HEADER_SIZE;
  const put = (part: Uint8Array) => {
    bytes.set(part, at);
    at += part.length;
  };
  put(record.path);
  put(record.link);
  for (const { name, value } of record.xattrs) {
    view.setUint32(at, name.length, true);
    view.setUint32(at + 4, value.length, true);
    at += 8;
    put(name);
    put(value);
  }
  return bytes;
}
