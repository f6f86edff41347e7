import * as zlib from "node:zlib";
import type { PiecePool } from "./pieces.ts";

/**
 * As many pieces are compressed at once: zlib works in Node's four threads, and the machine's cores are kept busy while this thread makes the
 * digests of the pieces before.
 */
const AHEAD = 4;
/** Twice as fast as zlib's default for an eighth more bytes. */
const LEVEL = 3;

/**
 * gzip, each piece a member of its own (RFC 1952: "a gzip file consists of a series of members"), so that pieces are compressed side by side. What
 * pieces say alone decides on the result: it does not depend on the machine's cores, or on what it was busy with. What it yields is good until the next
 * is asked for, where there is a pool that pieces are given back to.
 */
export async function* gzipPieces(pieces: AsyncIterable<Buffer>, pool?: PiecePool): AsyncGenerator<Uint8Array> {
  const running: { piece: Buffer; member: Promise<Uint8Array> | undefined }[] = [];
  async function* first(): AsyncGenerator<Uint8Array> {
    const { piece, member } = running.shift() as (typeof running)[0];
    if (member) yield await member;
    else yield* storedMember(piece);
    pool?.give(piece);
  }
  try {
    for await (const piece of pieces) {
      running.push({ piece, member: looksRandom(piece) ? undefined : gzipMember(piece) });
      if (running.length > AHEAD) yield* first();
    }
    while (running.length > 0) yield* first();
  } finally {
    await Promise.allSettled(running.map(({ member }) => member));
  }
}

function gzipMember(piece: Buffer): Promise<Uint8Array> {
  const made = new Promise<Uint8Array>((resolve, reject) => {
    zlib.gzip(piece, { level: LEVEL, chunkSize: piece.length + 1024 }, (error, bytes) =>
      error ? reject(error) : resolve(bytes),
    );
  });
  made.catch(() => {}); // told to whoever awaits it
  return made;
}

/** RFC 1952, as zlib writes it on Linux: no name, no time, Unix. */
const HEADER = Buffer.from("1f8b0800000000000003", "hex");
/** The longest stored block of RFC 1951. */
const STORED_MAX = 65535;

/** Bytes as they are, with what makes a gzip member of them: zlib's level 0 does the same, into memory of its own. */
async function* storedMember(piece: Buffer): AsyncGenerator<Uint8Array> {
  yield HEADER;
  for (let at = 0; at < piece.length; at += STORED_MAX) {
    const block = piece.subarray(at, at + STORED_MAX);
    const head = Buffer.alloc(5);
    head[0] = at + STORED_MAX >= piece.length ? 1 : 0;
    head.writeUInt16LE(block.length, 1);
    head.writeUInt16LE(~block.length & 0xffff, 3);
    yield head;
    yield block;
  }
  const trailer = Buffer.alloc(8);
  trailer.writeUInt32LE(crc32(piece), 0);
  trailer.writeUInt32LE(piece.length, 4);
  yield trailer;
}

function crc32(bytes: Buffer): number {
  const { crc32 } = zlib as { crc32?: (bytes: Buffer) => number };
  // Node before 20.15 has it only at the end of what it compresses
  return crc32 ? crc32(bytes) : zlib.gzipSync(bytes, { level: 0 }).subarray(-8).readUInt32LE(0);
}

const RUNS = 16;
const RUN = 1024;
/** Headers and a file's first words stand between what does not compress. */
const RUNS_RANDOM = 14;
/** Of random bytes, 1024 with themselves and 1 in 256 of all others: 5116 on average, seldom 90 more. Of base64 it is 17,000, of text 70,000. */
const EQUAL_PAIRS = 5500;

/**
 * Whether the bytes are as good as random: compressed or encrypted. zlib would work on them ten times as long as on their digest and win nothing.
 * Counts in samples how many pairs of bytes are equal, in whole numbers, so that every machine decides alike.
 */
export function looksRandom(piece: Uint8Array): boolean {
  if (piece.length < RUNS * RUN) return false;
  const stride = Math.floor((piece.length - RUN) / (RUNS - 1));
  let random = 0;
  for (let run = 0; run < RUNS; run++) {
    counts.fill(0);
    const end = run * stride + RUN;
    let pairs = 0;
    for (let i = run * stride; i < end; i++) {
      const byte = piece[i] as number;
      const count = counts[byte] as number;
      // squares, one step at a time
      pairs += 2 * count + 1;
      counts[byte] = count + 1;
    }
    if (pairs < EQUAL_PAIRS) random++;
    else if (run - random >= RUNS - RUNS_RANDOM) return false;
  }
  return true;
}

const counts = new Uint16Array(256);
