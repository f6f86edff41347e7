import { TsboxError } from "../base/error.ts";
import { GunzipStatus } from "./abi.ts";
import { engineText, newEngine } from "./engine.ts";

/** Reads the source's next bytes into `target`, at least one; 0 at its end. */
export type ReadInto = (target: Uint8Array) => number;

/**
 * gzip → plain bytes in the layer engine, on this thread. A piece is a view of the engine's memory, void when the one after the next is asked for. Twice
 * as fast as Node's zlib, but synchronous, and without a check of the CRC: for sources whose digests are compared.
 */
export function* gunzip(read: ReadInto): Generator<Uint8Array> {
  const engine = newEngine();
  const { exports, memory } = engine;
  exports.gunzip_new();
  const at = exports.gunzip_input();
  const space = memory.subarray(at, at + exports.gunzip_space());
  for (;;) {
    const n = read(space);
    let status = n === 0 ? exports.gunzip_finish() : exports.gunzip_feed(n);
    while (status === GunzipStatus.OUTPUT || status === GunzipStatus.END) {
      const from = exports.gunzip_output();
      const length = exports.gunzip_output_length();
      if (length > 0) yield memory.subarray(from, from + length);
      if (status === GunzipStatus.END) return;
      status = exports.gunzip_next();
    }
    if (status === GunzipStatus.ERROR) {
      const text = engineText(engine, exports.gunzip_error_pointer(), exports.gunzip_error_length());
      throw new TsboxError(`Cannot decompress archive: ${text}`, { code: "BAD_ARCHIVE" });
    }
  }
}
