import { readSync, writevSync } from "node:fs";
import { Growth } from "../base/growth.ts";
import type { RecordSink } from "./batch.ts";
import { decompress, HEAD, sniff } from "./decompress.ts";
import { Gunzip, type ReadInto } from "./gunzip.ts";
import { LentHash } from "./lent-hash.ts";
import { type UnpackedLayer, unpackTar } from "./unpack.ts";

/** A layer that lies in a file, to be unpacked by whoever may block: descriptors are shared by the threads of a process. */
export interface UnpackJob {
  /** The layer as the registry gave it; may still grow, up to `size`. */
  fd: number;
  size: number;
  /** Growth.shared of a file that is still being written. */
  growth?: SharedArrayBuffer;
  /** A pipe to the helper's apply. Not closed here. */
  sink: number;
  diffID: string;
  /** The bytes are known to have that diffID. */
  verified?: boolean;
  /** Eight bytes: how much of the file was read, for whoever shows it. */
  consumed?: SharedArrayBuffer;
  /** What another thread needs to hash for this one: gunzipMemory() and Hasher.shared. */
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
  const passed = { sink: pipeSink(job.sink), diffID, verified };
  if (compression !== "gzip") return unpackTar({ ...passed, tar: decompress(pieces(read)) });
  const gunzip = new Gunzip(lent?.memory);
  const hash = lent && new LentHash(lent.hasher, gunzip.lasting, tell);
  return unpackTar({ ...passed, tar: gunzip.pieces(read), transient: true, ...(hash && { hash }) });
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
