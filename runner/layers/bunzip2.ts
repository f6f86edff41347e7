import { TsboxError } from "../base/error.ts";
import { type ByteSource, iterate } from "./reader.ts";

/*
 * bzip2: a Huffman code over runs and move-to-front positions of a block's last column in Burrows and Wheeler's sorted matrix. The libraries that there are
 * run forever on made-up data, or want all of it at once.
 */

const BLOCK_UNIT = 100_000;
const GROUP = 50;
const MAX_LENGTH = 20;
const MAX_SYMBOLS = 258;
/** No block is longer than this once compressed: 900,000 symbols of 20 bits, and its tables. */
const LONGEST_BLOCK = 2_400_000;
const PIECE = 256 << 10;

function bad(state: string): TsboxError {
  return new TsboxError(`Cannot decompress archive: ${state}`, { code: "BAD_ARCHIVE" });
}

const DAMAGED = "bzip2 data is damaged";

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc >>> 0;
});

/** Bits of a source, most significant first. */
class Bits {
  readonly #chunks: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;
  #data: Uint8Array = new Uint8Array();
  #at = 0;
  #held = 0;
  #count = 0;
  /** Bytes after the end that were made up. */
  #beyond = 0;
  #done = false;

  constructor(source: ByteSource) {
    this.#chunks = iterate(source);
  }

  /** Has so many bytes ready, unless the source ends before. */
  async ready(length: number): Promise<void> {
    if (this.#done || this.#data.length - this.#at >= length) return;
    const parts = [this.#data.subarray(this.#at)];
    let have = this.#data.length - this.#at;
    // more than needed, so that what is left is not moved for each block
    while (have < length * 2) {
      const { done, value } = await this.#chunks.next();
      if (done) {
        this.#done = true;
        break;
      }
      parts.push(value);
      have += value.length;
    }
    this.#data = Buffer.concat(parts);
    this.#at = 0;
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }

  /** The next bits (24 at most) without taking them; zeros behind the end. */
  peek(count: number): number {
    while (this.#count < count) {
      const more = this.#at < this.#data.length;
      if (!more) this.#beyond++;
      this.#held = ((this.#held << 8) | (more ? (this.#data[this.#at++] as number) : 0)) >>> 0;
      this.#count += 8;
    }
    return (this.#held >>> (this.#count - count)) & ((1 << count) - 1);
  }

  skip(count: number): void {
    this.#count -= count;
    if (this.#beyond * 8 > this.#count) throw bad("bzip2 data is cut off");
  }

  take(count: number): number {
    const bits = this.peek(count);
    this.skip(count);
    return bits;
  }

  take32(): number {
    return ((this.take(16) << 16) | this.take(16)) >>> 0;
  }

  /** To the next whole byte. True: there are more. */
  align(): boolean {
    this.skip(this.#count % 8);
    return this.#count > this.#beyond * 8 || this.#at < this.#data.length;
  }
}

/** Plain bytes of bzip2 streams, one after the other. */
export async function* bunzip2(source: ByteSource): AsyncGenerator<Uint8Array> {
  const bits = new Bits(source);
  try {
    for (let first = true; ; first = false) {
      await bits.ready(4);
      if (bits.take(16) !== 0x425a || bits.take(8) !== 0x68) {
        if (first) throw bad("it is not in the bzip2 format");
        throw bad("something follows the bzip2 data");
      }
      const level = bits.take(8) - 0x30;
      if (level < 1 || level > 9) throw bad(DAMAGED);
      yield* stream(bits, level * BLOCK_UNIT);
      await bits.ready(4);
      if (!bits.align()) return;
    }
  } finally {
    await bits.close();
  }
}

async function* stream(bits: Bits, blockSize: number): AsyncGenerator<Uint8Array> {
  const column = new Uint32Array(blockSize);
  let total = 0;
  for (;;) {
    await bits.ready(LONGEST_BLOCK);
    const [high, low] = [bits.take(24), bits.take(24)];
    if (high === 0x177245 && low === 0x385090) {
      if (bits.take32() !== total) throw bad(DAMAGED);
      return;
    }
    if (high !== 0x314159 || low !== 0x265359) throw bad(DAMAGED);
    const expected = bits.take32();
    const { length, origin } = readBlock(bits, column);
    const crc = { value: 0xffffffff };
    yield* expand(column, length, origin, crc);
    const got = ~crc.value >>> 0;
    if (got !== expected) throw bad(DAMAGED);
    total = (((total << 1) | (total >>> 31)) ^ got) >>> 0;
  }
}

interface Code {
  shortest: number;
  /** The last code of each length, its bits at the top of MAX_LENGTH; below the shortest -1. */
  limit: Int32Array;
  /** What to add to a code for its place in `symbols`. */
  base: Int32Array;
  symbols: Uint16Array;
}

/** Reads a block's last column, the bytes in the lower 8 bits, and sorts it: the upper bits lead to the next one. */
function readBlock(bits: Bits, column: Uint32Array): { length: number; origin: number } {
  // a way around slow sorting that nobody has written since 1998
  if (bits.take(1) !== 0) throw bad("it is of a bzip2 that is too old");
  const origin = bits.take(24);
  const bytes = readBytes(bits);
  const symbolCount = bytes.length + 2;
  const groupCount = bits.take(3);
  const selectorCount = bits.take(15);
  if (groupCount < 2 || groupCount > 6 || selectorCount < 1) throw bad(DAMAGED);
  const selectors = readSelectors(bits, groupCount, selectorCount);
  const codes = Array.from({ length: groupCount }, () => readCode(bits, symbolCount));
  const length = readColumn(bits, column, { bytes, selectors, codes });
  if (origin >= length) throw bad(DAMAGED);
  const starts = new Uint32Array(256);
  for (let at = 0; at < length; at++) (starts[column[at] as number] as number)++;
  for (let byte = 0, sum = 0; byte < 256; byte++) {
    const count = starts[byte] as number;
    starts[byte] = sum;
    sum += count;
  }
  for (let at = 0; at < length; at++) {
    const byte = (column[at] as number) & 0xff;
    const to = starts[byte] as number;
    starts[byte] = to + 1;
    column[to] = ((column[to] as number) | (at << 8)) >>> 0;
  }
  return { length, origin };
}

/** The bytes that the block has at all. */
function readBytes(bits: Bits): number[] {
  const rows = bits.take(16);
  const bytes: number[] = [];
  for (let row = 0; row < 16; row++) {
    if (((rows >> (15 - row)) & 1) === 0) continue;
    const used = bits.take(16);
    for (let n = 0; n < 16; n++) if ((used >> (15 - n)) & 1) bytes.push(row * 16 + n);
  }
  if (bytes.length === 0) throw bad(DAMAGED);
  return bytes;
}

/** Which code each group of 50 symbols is written in, by move-to-front positions. */
function readSelectors(bits: Bits, groupCount: number, count: number): Uint8Array {
  const order = Array.from({ length: groupCount }, (_, n) => n);
  const selectors = new Uint8Array(count);
  for (let n = 0; n < count; n++) {
    let position = 0;
    while (bits.take(1) === 1) if (++position >= groupCount) throw bad(DAMAGED);
    const [found] = order.splice(position, 1) as [number];
    order.unshift(found);
    selectors[n] = found;
  }
  return selectors;
}

function readCode(bits: Bits, symbolCount: number): Code {
  const lengths = new Uint8Array(symbolCount);
  let length = bits.take(5);
  for (let n = 0; n < symbolCount; n++) {
    for (;;) {
      if (length < 1 || length > MAX_LENGTH) throw bad(DAMAGED);
      if (bits.take(1) === 0) break;
      length += bits.take(1) === 0 ? 1 : -1;
    }
    lengths[n] = length;
  }
  const limit = new Int32Array(MAX_LENGTH + 2).fill(-1);
  const base = new Int32Array(MAX_LENGTH + 2);
  const symbols = new Uint16Array(MAX_SYMBOLS);
  const shortest = Math.min(...lengths);
  let code = 0;
  let placed = 0;
  for (let size = shortest; size <= MAX_LENGTH; size++) {
    base[size] = placed - code;
    for (let n = 0; n < symbolCount; n++) {
      if (lengths[n] !== size) continue;
      symbols[placed++] = n;
      code++;
    }
    // more codes than there are of this length
    if (code > 1 << size) throw bad(DAMAGED);
    limit[size] = code * 2 ** (MAX_LENGTH - size) - 1;
    code <<= 1;
  }
  return { shortest, limit, base, symbols };
}

function readColumn(
  bits: Bits,
  column: Uint32Array,
  { bytes, selectors, codes }: { bytes: number[]; selectors: Uint8Array; codes: Code[] },
): number {
  const order = Uint8Array.from(bytes);
  const end = bytes.length + 1;
  let length = 0;
  let run = 0;
  let weight = 1;
  let group = 0;
  for (;;) {
    const code = codes[selectors[group++] ?? -1];
    if (!code) throw bad(DAMAGED);
    const { shortest, limit, base, symbols } = code;
    for (let n = 0; n < GROUP; n++) {
      const ahead = bits.peek(MAX_LENGTH);
      let size = shortest;
      while (size <= MAX_LENGTH && ahead > (limit[size] as number)) size++;
      if (size > MAX_LENGTH) throw bad(DAMAGED);
      bits.skip(size);
      const symbol = symbols[(ahead >>> (MAX_LENGTH - size)) + (base[size] as number)] as number;
      if (symbol < 2) {
        // a run's length, in digits 1 and 2 of base 2
        run += weight << symbol;
        weight <<= 1;
        if (run > column.length) throw bad(DAMAGED);
        continue;
      }
      if (run > 0) {
        if (length + run > column.length) throw bad(DAMAGED);
        column.fill(order[0] as number, length, length + run);
        length += run;
        run = 0;
        weight = 1;
      }
      if (symbol === end) return length;
      const position = symbol - 1;
      const byte = order[position] as number;
      order.copyWithin(1, 0, position);
      order[0] = byte;
      if (length >= column.length) throw bad(DAMAGED);
      column[length++] = byte;
    }
  }
}

/** Follows the column from row to row; four equal bytes are followed by how many more there are. */
function* expand(column: Uint32Array, length: number, origin: number, crc: { value: number }): Generator<Uint8Array> {
  let piece = new Uint8Array(PIECE);
  let used = 0;
  let sum = crc.value;
  let row = (column[origin] as number) >>> 8;
  let equal = 0;
  let last = -1;
  for (let n = 0; n < length; n++) {
    const entry = column[row] as number;
    const byte = entry & 0xff;
    row = entry >>> 8;
    const repeated = equal === 4;
    const [out, count] = repeated ? [last, byte] : [byte, 1];
    if (repeated) {
      equal = 0;
      last = -1;
    } else {
      equal = byte === last ? equal + 1 : 1;
      last = byte;
    }
    if (used + count > PIECE) {
      yield piece.subarray(0, used);
      piece = new Uint8Array(PIECE);
      used = 0;
    }
    for (let copy = 0; copy < count; copy++) {
      sum = ((sum << 8) ^ (CRC_TABLE[(sum >>> 24) ^ out] as number)) >>> 0;
      piece[used++] = out;
    }
  }
  crc.value = sum;
  if (used > 0) yield piece.subarray(0, used);
}
