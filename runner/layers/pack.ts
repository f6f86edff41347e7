import { TsboxError, visible } from "../base/error.ts";
import { RECORD_HEADER_SIZE, RecordFlag, RecordKind } from "./abi.ts";
import { PIECE, PiecePool } from "./pieces.ts";
import { type PackedEntry, packedEntry, RecordSplitter } from "./records.ts";
import { rawTarWriter } from "./writer.ts";

/** What the archive says of an entry instead of what lies on disk: where this machine could not set the owner, or make the device. */
export interface TrueEntry {
  uid: number;
  gid: number;
  mode: number;
  kind: number;
  major: number;
  minor: number;
}

export interface PackTarOptions {
  /** Seconds since 1970: no time in the archive is later. */
  sourceDateEpoch?: number;
  /** The archive is a layer: names that would be read as whiteouts are refused. Otherwise names are just names. */
  layer?: boolean;
  /** Where pieces come from; whoever has done with one gives it back. Without it each is new, and kept at will. */
  pool?: PiecePool;
  /** Asked for every entry, if given. */
  trueEntry?: (entry: PackedEntry) => TrueEntry | undefined;
}

export interface PackTarResult {
  /** Bytes of the tar. */
  size: number;
  entries: number;
  /** The tree on disk is just what the records say, no more (sockets) and no less (marks for mount points, times). */
  exact: boolean;
}

const TAR_BLOCK = 512;
const ZEROS = new Uint8Array(64 << 10);
/** A file of mode 0 stands for a device that could not be made here. */
const DEVICES: number[] = [RecordKind.CHARACTER, RecordKind.BLOCK];

/**
 * The helper's records → a tar in pieces of one MiB (the last one is shorter), each a buffer of its own. The same records give the same bytes: holes
 * become zeros, since where a file has them is the file system's choice.
 */
export async function* packTar(
  source: AsyncIterable<Uint8Array>,
  options: PackTarOptions,
  result: PackTarResult,
): AsyncGenerator<Buffer> {
  const writer = rawTarWriter();
  const view = new DataView(writer.record.buffer, writer.record.byteOffset, writer.record.byteLength);
  const splitter = new RecordSplitter();
  Object.assign(result, { size: 0, entries: 0, exact: true });
  const pool = options.pool ?? new PiecePool();
  let piece = pool.take();
  let used = 0;
  /** Content of the current file that is still to come, its holes included. */
  let left = 0;
  let at = 0;
  let sparse = false;

  const full = () => {
    const done = piece;
    piece = pool.take();
    used = 0;
    result.size += PIECE;
    return done;
  };
  function* put(bytes: Uint8Array): Generator<Buffer> {
    for (let from = 0; from < bytes.length; ) {
      const n = Math.min(PIECE - used, bytes.length - from);
      piece.set(n === bytes.length ? bytes : bytes.subarray(from, from + n), used);
      used += n;
      from += n;
      if (used === PIECE) yield full();
    }
  }
  function* zeros(count: number): Generator<Buffer> {
    for (let n = count; n > 0; n -= ZEROS.length) yield* put(n < ZEROS.length ? ZEROS.subarray(0, n) : ZEROS);
  }
  /** What the file before still lacks: a hole at its end, and zeros up to a whole block. */
  function* finishFile(): Generator<Buffer> {
    if (left > 0) yield* zeros(left);
    at += left;
    left = 0;
    if (at % TAR_BLOCK !== 0) yield* zeros(TAR_BLOCK - (at % TAR_BLOCK));
    at = 0;
  }
  function* entry(record: Buffer): Generator<Buffer> {
    writer.record.set(record);
    if (record[4] !== RecordKind.END) {
      result.entries++;
      if (options.layer) checkLayerName(record);
      restate(view, record, options);
    } else if (record.readBigUInt64LE(40) > 0n) {
      result.exact = false;
    }
    const isFile = view.getUint8(4) === RecordKind.FILE;
    sparse = ((record[5] as number) & RecordFlag.SPARSE) !== 0;
    left = isFile ? Number(record.readBigUInt64LE(40)) : 0;
    yield* put(writer.header(record.length));
  }

  for await (const chunk of source) {
    for (const part of splitter.split(chunk)) {
      if ("data" in part) {
        at += part.data.length;
        left -= part.data.length;
        yield* put(part.data);
      } else if (part.record[4] === RecordKind.SEGMENT) {
        const gap = Number(part.record.readBigUInt64LE(56)) - at;
        if (!sparse || gap < 0 || gap > left) throw new TsboxError("Cannot read layer records: a segment lies nowhere");
        yield* zeros(gap);
        at += gap;
        left -= gap;
      } else {
        yield* finishFile();
        yield* entry(part.record);
      }
    }
  }
  if (!splitter.complete) {
    throw new TsboxError("Cannot read layer records: they were cut off", { code: "BAD_RECORDS" });
  }
  result.size += used;
  if (used > 0) yield piece.subarray(0, used);
}

const WHITEOUT = Buffer.from(".wh.");
const SLASH = 0x2f;

/** A file of such a name cannot be told from the mark of a removed one. */
export function checkLayerName(record: Buffer): void {
  const end = RECORD_HEADER_SIZE + record.readUInt32LE(64);
  // byte by byte: each of 100,000 names comes here, and a search by Buffer's own means costs ten times as much
  let start = end;
  while (start > RECORD_HEADER_SIZE && record[start - 1] !== SLASH) start--;
  for (let i = 0; i < WHITEOUT.length; i++) if (start + i >= end || record[start + i] !== WHITEOUT[i]) return;
  if (record[4] === RecordKind.WHITEOUT) return;
  const path = record.subarray(RECORD_HEADER_SIZE, end);
  throw new TsboxError(`Cannot put "${visible(path.toString())}" into a layer: its name begins with ".wh."`, {
    code: "WHITEOUT_NAME",
    hint: "in layers such names mean removed files: rename or remove it first",
    exitCode: 1,
  });
}

/** Makes of what `pack` said what the archive says. */
function restate(view: DataView, record: Buffer, options: PackTarOptions): void {
  if (options.trueEntry) {
    const known = options.trueEntry(packedEntry(record));
    if (known) setTrue(view, known);
  }
  view.setUint8(5, 0);
  view.setUint32(76, 0, true);
  const { sourceDateEpoch } = options;
  if (sourceDateEpoch === undefined) return;
  const seconds = Number(view.getBigInt64(32, true));
  if (seconds < sourceDateEpoch || (seconds === sourceDateEpoch && view.getUint32(28, true) === 0)) return;
  view.setBigInt64(32, BigInt(sourceDateEpoch), true);
  view.setUint32(28, 0, true);
}

function setTrue(view: DataView, known: TrueEntry): void {
  view.setUint32(12, known.uid, true);
  view.setUint32(16, known.gid, true);
  if (view.getUint8(4) !== RecordKind.FILE || !DEVICES.includes(known.kind)) return;
  if (view.getUint32(8, true) !== 0 || view.getBigUint64(40, true) !== 0n) return; // a program has made something else of it
  view.setUint8(4, known.kind);
  view.setUint32(8, known.mode, true);
  view.setUint32(20, known.major, true);
  view.setUint32(24, known.minor, true);
}
