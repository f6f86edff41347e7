import type { Writable } from "node:stream";
import { decodeRecord, type LayerRecord, RecordFlag, RecordKind } from "./abi.ts";
import { Batch, type RecordSink, writableSink } from "./batch.ts";
import { ArchiveCursor, type ReadOptions } from "./cursor.ts";

export type ByteSource = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;

export function iterate(source: ByteSource): AsyncIterator<Uint8Array> | Iterator<Uint8Array> {
  return Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]();
}

export interface ArchiveEntry {
  record: LayerRecord;
  /** The path as text, for programs; record.path has the bytes. Not made visible(). */
  path: string;
  /** Can be read once, before the next entry is asked for; what is not read is skipped. */
  content: AsyncIterable<Uint8Array>;
}

/** Pulls steps out of a source: the part that readEntries() and recordStream() share. */
class Pull {
  readonly cursor: ArchiveCursor;
  #chunks: AsyncIterator<Uint8Array> | Iterator<Uint8Array>;

  constructor(source: ByteSource, options: ReadOptions) {
    this.cursor = new ArchiveCursor(options);
    this.#chunks = iterate(source);
  }

  /** After "input". */
  async more(): Promise<void> {
    const { done, value } = await this.#chunks.next();
    if (done) this.cursor.finish();
    else this.cursor.push(value);
  }

  async next(): Promise<"record" | "data" | "end"> {
    for (;;) {
      const step = this.cursor.next();
      if (step !== "input") return step;
      await this.more();
    }
  }

  /** What follows the end marker is read all the same: whoever hashes the source must see all of it. */
  async drain(): Promise<void> {
    while (!(await this.#chunks.next()).done);
  }

  async close(): Promise<void> {
    await this.#chunks.return?.();
  }
}

const ZEROS = new Uint8Array(64 << 10);

function* holes(length: number): Generator<Uint8Array> {
  for (let left = length; left > 0; left -= ZEROS.length) yield left >= ZEROS.length ? ZEROS : ZEROS.subarray(0, left);
}

/**
 * The entries of an archive one by one, for archives that the runner itself looks into (an image
 * in a tar). Sparse files are given with their holes as zeros, so a consumer limits what it reads.
 */
export async function* readEntries(source: ByteSource, options: ReadOptions): AsyncGenerator<ArchiveEntry> {
  const pull = new Pull(source, options);
  let complete = false;
  let ahead: "record" | "data" | "end" | undefined;
  const peek = async () => (ahead ??= await pull.next());
  const take = () => {
    ahead = undefined;
  };
  const atSegment = () => ahead === "record" && pull.cursor.record[4] === RecordKind.SEGMENT;

  async function* data(isCurrent: () => boolean): AsyncGenerator<Uint8Array> {
    while (isCurrent() && (await peek()) === "data") {
      take();
      yield pull.cursor.data;
    }
  }

  async function* content(record: LayerRecord, isCurrent: () => boolean): AsyncGenerator<Uint8Array> {
    if (!isCurrent()) throw new Error("the content of an entry was read after the next entry");
    yield* data(isCurrent);
    if (!(record.flags & RecordFlag.SPARSE)) return;
    let at = 0;
    while (isCurrent() && (await peek()) && atSegment()) {
      const segment = decodeRecord(pull.cursor.record);
      take();
      yield* holes(segment.offset - at);
      yield* data(isCurrent);
      at = segment.offset + segment.data;
    }
    yield* holes(record.size - at);
  }

  try {
    for (let number = 0, current = 0; ; number++) {
      while ((await peek()) === "data" || atSegment()) take(); // what the consumer did not read
      if (ahead === "end") break;
      const record = decodeRecord(pull.cursor.record);
      take();
      current = number;
      const mine = number;
      yield { record, path: Buffer.from(record.path).toString(), content: content(record, () => current === mine) };
      current = -1;
    }
    complete = true;
    await pull.drain();
  } finally {
    if (!complete) await pull.close();
  }
}

export interface RecordStreamResult {
  /** Records, without SEGMENT and END. */
  entries: number;
  /** Content bytes. */
  bytes: number;
}

/** `beforeEnd` runs when the source was read to its end: if it throws, the stream gets no END and is void. */
export interface RecordStreamOptions extends ReadOptions {
  beforeEnd?: () => void | Promise<void>;
}

/**
 * An archive → the records and contents that the helper's apply reads, END included. Content is
 * passed on as the source gave it, uncopied unless tiny; memory is bounded by the source's chunks.
 */
export async function recordStream(
  source: ByteSource,
  sink: Writable | RecordSink,
  options: RecordStreamOptions = { whiteouts: true },
): Promise<RecordStreamResult> {
  const pull = new Pull(source, options);
  const batch = new Batch("cork" in sink ? writableSink(sink) : sink);
  const { cursor } = pull;
  const result = { entries: 0, bytes: 0 };
  let drained = false;
  try {
    for (;;) {
      const step = cursor.next();
      if (step === "end") break;
      let full = false;
      if (step === "input") {
        await pull.more();
      } else if (step === "data") {
        result.bytes += cursor.data.length;
        full = batch.add(cursor.data, true);
      } else {
        if (cursor.record[4] !== RecordKind.SEGMENT) result.entries++;
        full = batch.add(cursor.record, false);
      }
      if (full) await batch.flush();
    }
    await pull.drain();
    drained = true;
    await options.beforeEnd?.();
    batch.add(cursor.record, false);
    await batch.flush();
  } finally {
    if (!drained) await pull.close();
  }
  return result;
}
