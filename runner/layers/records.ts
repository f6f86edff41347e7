import { TsboxError } from "../base/error.ts";
import { RECORD_HEADER_SIZE, RECORD_MAX, RecordFlag, RecordKind } from "./abi.ts";

/** What comes out of a record stream, in order: a record's bytes, or a piece of the content of the one before. Views: good until the next piece. */
export type Piece = { record: Buffer } | { data: Uint8Array };

const EMPTY = Buffer.alloc(0);

function bad(state: string): TsboxError {
  return new TsboxError(`Cannot read layer records: ${state}`, { code: "BAD_RECORDS" });
}

/** Takes the helper's stream apart. Content is passed on as it came, uncopied. */
export class RecordSplitter {
  #partial: Buffer = EMPTY;
  #dataLeft = 0;
  #ended = false;

  *split(chunk: Uint8Array): Generator<Piece> {
    let rest = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    while (rest.length > 0) {
      if (this.#ended) throw bad("something follows its end");
      if (this.#dataLeft > 0) {
        const data = rest.subarray(0, this.#dataLeft);
        rest = rest.subarray(data.length);
        this.#dataLeft -= data.length;
        yield { data };
        continue;
      }
      // a record that lies across two chunks is put together; the others are taken where they are
      const bytes: Buffer = this.#partial.length > 0 ? Buffer.concat([this.#partial, rest]) : rest;
      const length = bytes.length >= RECORD_HEADER_SIZE ? bytes.readUInt32LE(0) : RECORD_HEADER_SIZE;
      if (length < RECORD_HEADER_SIZE || length > RECORD_MAX) throw bad("its lengths do not agree");
      if (bytes.length < length || bytes.length < RECORD_HEADER_SIZE) {
        this.#partial = Buffer.from(bytes);
        return;
      }
      this.#partial = EMPTY;
      const record = bytes.subarray(0, length);
      rest = bytes.subarray(length);
      this.#dataLeft = Number(record.readBigUInt64LE(48));
      this.#ended = record[4] === RecordKind.END;
      yield { record };
    }
  }

  /** Whether the stream came to its END. */
  get complete(): boolean {
    return this.#ended;
  }
}

/** An entry as `pack` tells it. */
export interface PackedEntry {
  kind: RecordKind;
  /** Bytes as latin1 characters: a key, not for people. */
  path: string;
  /** Number, from 1, of the layer that shows something at the path; 0: none. */
  below: number;
  /** Overlay brought it up from there. */
  copied: boolean;
  /** A directory with that layer's mode, owner and time. */
  same: boolean;
  size: number;
}

export function packedEntry(record: Buffer): PackedEntry {
  const flags = record[5] as number;
  return {
    kind: record[4] as RecordKind,
    path: record.toString("latin1", RECORD_HEADER_SIZE, RECORD_HEADER_SIZE + record.readUInt32LE(64)),
    below: record.readUInt32LE(76),
    copied: (flags & RecordFlag.COPIED) !== 0,
    same: (flags & RecordFlag.SAME) !== 0,
    size: Number(record.readBigUInt64LE(40)),
  };
}

/** Every entry of a stream that came with `names`. */
export function eachEntry(source: AsyncIterable<Uint8Array>, act: (entry: PackedEntry) => void): Promise<void> {
  return eachRecord(source, (record) => act(packedEntry(record)));
}

export async function eachRecord(source: AsyncIterable<Uint8Array>, act: (record: Buffer) => void): Promise<void> {
  const splitter = new RecordSplitter();
  for await (const chunk of source) {
    for (const part of splitter.split(chunk)) {
      if ("record" in part && part.record[4] !== RecordKind.END) act(part.record);
    }
  }
  if (!splitter.complete) throw bad("they were cut off");
}
