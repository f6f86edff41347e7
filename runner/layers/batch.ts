import type { Writable } from "node:stream";

/**
 * Takes the pieces of a record stream, in order. What it was given stays unchanged for as long as
 * it likes. A promise holds the stream back until it is fulfilled; its rejection ends it.
 */
export interface RecordSink {
  write(pieces: readonly Uint8Array[]): void | Promise<void>;
}

/** A Node stream as a sink: all pieces in one writev, and back-pressure. Does not end the stream. */
export function writableSink(stream: Writable): RecordSink {
  return {
    write(pieces) {
      if (stream.destroyed || stream.writableEnded) throw stream.errored ?? new Error("the stream is closed");
      stream.cork();
      let room = true;
      for (const piece of pieces) room = stream.write(piece);
      stream.uncork();
      if (!room && stream.writableNeedDrain) return drained(stream);
    },
  };
}

function drained(stream: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    const done = (error?: Error | null) => {
      stream.off("drain", onDrain);
      stream.off("close", onClose);
      stream.off("error", done);
      if (error) reject(error);
      else resolve();
    };
    const onDrain = () => done();
    const onClose = () => done(stream.errored ?? new Error("the stream was closed by its reader"));
    stream.on("drain", onDrain);
    stream.on("close", onClose);
    stream.on("error", done);
  });
}

/** Pieces up to this size are cheaper to copy together than to hand over one by one. */
const SMALL = 16 << 10;
const STAGING = 256 << 10;
const FULL = 256 << 10;

/** Gathers small pieces into large ones; large ones pass as they are, uncopied. */
export class Batch {
  #sink: RecordSink;
  #pieces: Uint8Array[] = [];
  #bytes = 0;
  #staging = Buffer.allocUnsafeSlow(STAGING);
  #from = 0;
  #to = 0;

  constructor(sink: RecordSink) {
    this.#sink = sink;
  }

  /** True: flush() before more is added. `lasting` bytes stay unchanged; others are copied. */
  add(piece: Uint8Array, lasting: boolean): boolean {
    if (piece.length > SMALL) {
      this.#seal();
      this.#pieces.push(lasting ? piece : Uint8Array.from(piece));
    } else {
      if (this.#to + piece.length > STAGING) {
        this.#seal();
        this.#staging = Buffer.allocUnsafeSlow(STAGING);
        this.#from = 0;
        this.#to = 0;
      }
      this.#staging.set(piece, this.#to);
      this.#to += piece.length;
    }
    this.#bytes += piece.length;
    return this.#bytes >= FULL;
  }

  flush(): void | Promise<void> {
    this.#seal();
    if (this.#pieces.length === 0) return;
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#bytes = 0;
    return this.#sink.write(pieces);
  }

  #seal(): void {
    if (this.#to === this.#from) return;
    this.#pieces.push(this.#staging.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}
