import { TsboxError } from "../base/error.ts";
import { GunzipStatus } from "./abi.ts";
import { engineText, instantiate } from "./engine.ts";

/** wasm/gunzip_engine.h: every export, and nothing else. */
interface GunzipExports {
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
}

/** Reads the source's next bytes into `target`, at least one; 0 at its end. */
export type ReadInto = (target: Uint8Array) => number;

const PAGES = (8 << 20) / (64 << 10);

/** Memory for one stream after the other, which other threads may look at. */
export function gunzipMemory(): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: PAGES, maximum: PAGES, shared: true });
}

/**
 * gzip → plain bytes in WebAssembly, on this thread. Twice as fast as Node's zlib, but synchronous, and without a check of the CRC: for sources whose
 * digests are compared.
 */
export class Gunzip {
  /** A piece stays as it is while so many more are asked for. */
  readonly lasting: number;
  readonly #exports: GunzipExports;
  readonly #memory: Uint8Array;

  constructor(memory = gunzipMemory()) {
    this.#exports = instantiate<GunzipExports>("gunzip.wasm", { env: { memory } });
    this.#memory = new Uint8Array(memory.buffer);
    this.lasting = this.#exports.gunzip_lasting();
  }

  /** The plain bytes, as views of the memory. */
  *pieces(read: ReadInto): Generator<Uint8Array> {
    const exports = this.#exports;
    exports.gunzip_new();
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
        throw new TsboxError(`Cannot decompress archive: ${this.#fault()}`, { code: "BAD_ARCHIVE" });
    }
  }

  #fault(): string {
    const exports = this.#exports;
    return engineText({ memory: this.#memory }, exports.gunzip_error_pointer(), exports.gunzip_error_length());
  }
}
