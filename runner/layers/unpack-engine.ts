import { TsboxError, visible } from "../base/error.ts";
import { GunzipStatus, LentStatus, ReaderFlag } from "./abi.ts";
import { engineText, instantiate } from "./engine.ts";

/** wasm/unpack_engine.h: every export, and nothing else. */
interface UnpackExports {
  engine_version(): number;
  gunzip_lasting(): number;
  gunzip_new(): void;
  gunzip_input(): number;
  gunzip_space(): number;
  gunzip_feed(n: number): number;
  gunzip_next(): number;
  gunzip_finish(): number;
  gunzip_output(): number;
  gunzip_output_length(): number;
  gunzip_error_pointer(): number;
  gunzip_error_length(): number;
  lent_new(flags: number): void;
  lent_chunk(): number;
  lent_more(): number;
  lent_finish(): number;
  lent_out(): number;
  lent_out_length(): number;
  lent_total(): number;
  lent_entries(): number;
  lent_error_pointer(): number;
  lent_error_length(): number;
}

/** Reads the source's next bytes into `target`, at least one; 0 at its end. */
export type ReadInto = (target: Uint8Array) => number;

/** wasm/Makefile has the same size: the chunks, and what the reader of tars may need. */
const PAGES = (28 << 20) / (64 << 10);

/** Memory for one layer after the other, which others may look at. */
export function unpackMemory(): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
}

/**
 * A layer in gzip → plain bytes → records, in WebAssembly, on this thread: pieces(), records() for each of them, then end(). Twice as fast as Node's zlib
 * and a tar read record by record, but synchronous, and without a check of the CRC: for sources whose digests are compared.
 */
export class UnpackEngine {
  /** A piece stays as it is while so many more are asked for. */
  readonly lasting: number;
  readonly #exports: UnpackExports;
  readonly #memory: Uint8Array;

  constructor(memory = unpackMemory()) {
    this.#exports = instantiate<UnpackExports>("unpack.wasm", { env: { memory } });
    this.#memory = new Uint8Array(memory.buffer);
    this.lasting = this.#exports.gunzip_lasting();
  }

  /** Bytes of contents that the records so far tell. */
  get lent(): number {
    return this.#exports.lent_total();
  }

  /** Records so far, without SEGMENT and END. */
  get entries(): number {
    return this.#exports.lent_entries();
  }

  /** The plain bytes of the next layer, as views of the memory. */
  *pieces(read: ReadInto): Generator<Uint8Array> {
    const exports = this.#exports;
    exports.gunzip_new();
    exports.lent_new(ReaderFlag.WHITEOUTS);
    const at = exports.gunzip_input();
    const space = this.#memory.subarray(at, at + exports.gunzip_space());
    for (;;) {
      const n = read(space);
      let status = n === 0 ? exports.gunzip_finish() : exports.gunzip_feed(n);
      while (status === GunzipStatus.OUTPUT || status === GunzipStatus.END) {
        const from = exports.gunzip_output();
        const length = exports.gunzip_output_length();
        if (length > 0) yield this.#memory.subarray(from, from + length);
        if (status === GunzipStatus.END) return;
        status = exports.gunzip_next();
      }
      if (status === GunzipStatus.ERROR)
        throw this.#error("decompress", exports.gunzip_error_pointer(), exports.gunzip_error_length());
    }
  }

  /** The records of the last piece, with contents told by where they lie in the memory (RECORD_FLAG_LENT): parts of the stream, each valid until the next. */
  *records(): Generator<Uint8Array> {
    const exports = this.#exports;
    let status = exports.lent_chunk();
    for (;;) {
      const made = this.#made(status);
      if (made.length > 0) yield made;
      if (status === LentStatus.USED) return;
      status = exports.lent_more();
    }
  }

  /** After the last piece: the END record, for when the digests are right too. */
  end(): Uint8Array {
    return this.#made(this.#exports.lent_finish());
  }

  #made(status: number): Uint8Array {
    const exports = this.#exports;
    if (status === LentStatus.ERROR)
      throw this.#error("read", exports.lent_error_pointer(), exports.lent_error_length());
    const from = exports.lent_out();
    return this.#memory.subarray(from, from + exports.lent_out_length());
  }

  #error(what: "decompress" | "read", pointer: number, length: number): TsboxError {
    const text = engineText({ memory: this.#memory }, pointer, length);
    return new TsboxError(`Cannot ${what} archive: ${visible(text)}`, { code: "BAD_ARCHIVE" });
  }
}
