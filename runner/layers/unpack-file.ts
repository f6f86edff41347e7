import { readSync, writevSync } from "node:fs";
import { Growth } from "../base/growth.ts";
import type { RecordSink } from "./batch.ts";
import { decompress, HEAD, sniff } from "./decompress.ts";
import { Lender } from "./lender.ts";
import { LentHash } from "./lent-hash.ts";
import { DigestMismatch, type UnpackedLayer, unpackTar } from "./unpack.ts";
import { type ReadInto, UnpackEngine } from "./unpack-engine.ts";

/** A layer that lies in a file, to be unpacked by whoever may block: descriptors are shared by the threads of a process. */
export interface UnpackJob {
  /** The layer as the registry gave it; may still grow, up to `size`. */
  fd: number;
  size: number;
  /** Growth.shared of a file that is still being written. */
  growth?: SharedArrayBuffer;
  /** A pipe to the helper's apply; with `lent` a socket. Not closed here. */
  sink: number;
  diffID: string;
  /** The bytes are known to have that diffID. */
  verified?: boolean;
  /** Eight bytes: how much of the file was read, for whoever shows it. */
  consumed?: SharedArrayBuffer;
  /** Memory that apply has mapped: what is decompressed in it stays there. And what another thread needs to hash it: unpackMemory() and Hasher.shared. */
  lent?: { memory: WebAssembly.Memory; hasher: SharedArrayBuffer };
}

/** Waits for so many bytes at once, if there are as many: each wait costs a switch between threads. */
const PIECE = 128 << 10;

/** Does the job on this thread, which blocks wherever there is something to wait for. `tell` has the hashing thread work. */
export async function unpackFile(job: UnpackJob, tell: () => void): Promise<UnpackedLayer> {
  const read = reader(job);
  const head = new Uint8Array(HEAD);
  const compression = sniff(head.subarray(0, readSync(job.fd, head, 0, Math.min(HEAD, available(job, HEAD)), 0)));
  const { diffID, verified = false, lent } = job;
  if (compression === "gzip" && lent) return unpackInPlace(job, lent, read, tell);
  return unpackTar({ sink: pipeSink(job.sink), diffID, verified, tar: decompress(pieces(read)) });
}

/** Contents stay where they were decompressed: only where they lie is sent. */
function unpackInPlace(
  { sink, diffID: wanted, verified = false }: UnpackJob,
  { memory, hasher }: NonNullable<UnpackJob["lent"]>,
  read: ReadInto,
  tell: () => void,
): UnpackedLayer {
  const engine = new UnpackEngine(memory);
  const lender = new Lender(sink, engine.lasting);
  const hash = verified ? undefined : new LentHash(hasher, engine.lasting, tell);
  let size = 0;
  for (const piece of engine.pieces(read)) {
    size += piece.length;
    hash?.update(piece);
    for (const records of engine.records()) lender.send(records);
    lender.pieceSent(engine.lent);
  }
  const end = engine.end();
  const diffID = hash ? `sha256:${hash.digest("hex")}` : wanted;
  if (diffID !== wanted) throw new DigestMismatch(diffID, wanted);
  lender.send(end);
  return { diffID, size, entries: engine.entries };
}

/** How many bytes the file has, once it has `wanted` or will not grow any more. */
function available({ growth, size }: UnpackJob, wanted: number): number {
  return growth === undefined ? size : new Growth(growth).waitFor(Math.min(wanted, size));
}

function reader(job: UnpackJob): ReadInto {
  let offset = 0;
  let there = 0;
  const consumed = job.consumed && new BigInt64Array(job.consumed);
  return (target) => {
    if (there === offset) there = available(job, offset + PIECE);
    const n = readSync(job.fd, target, 0, Math.min(target.length, there - offset), offset);
    offset += n;
    if (consumed) Atomics.store(consumed, 0, BigInt(offset));
    return n;
  };
}

function* pieces(read: ReadInto): Generator<Uint8Array> {
  for (;;) {
    const piece = Buffer.allocUnsafeSlow(PIECE);
    const n = read(piece);
    if (n === 0) return;
    yield piece.subarray(0, n);
  }
}

/** Writes to a pipe, and waits for room in it: whoever reads it reads ahead. */
function pipeSink(fd: number): RecordSink {
  return {
    write(pieces) {
      for (let left = pieces; left.length > 0; ) {
        let bytesWritten = writevSync(fd, left as Uint8Array[]);
        const cut = left.findIndex((piece) => {
          bytesWritten -= piece.length;
          return bytesWritten < 0;
        });
        if (cut < 0) return;
        const rest = left[cut] as Uint8Array;
        left = [rest.subarray(rest.length + bytesWritten), ...left.slice(cut + 1)];
      }
    },
  };
}
