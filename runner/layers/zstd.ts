import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import * as zlib from "node:zlib";
import { Decompress } from "fzstd";
import { TsboxError } from "../base/error.ts";
import type { ByteSource } from "./reader.ts";
import { throughTransform } from "./transform.ts";

/** What zstd's own tool accepts without being told otherwise (its --long=27). */
const WINDOW_MAX = 128 << 20;

function bad(state: string): TsboxError {
  return new TsboxError(`Cannot decompress archive: ${state}`, { code: "BAD_ARCHIVE" });
}

/**
 * Cuts a zstd stream at its block boundaries, looking at nothing but frame and block headers.
 *
 * The library decodes whatever it is given at once and keeps the result: a few bytes of repeated
 * blocks become gigabytes. One block at a time is at most 128 KiB. It also reserves the window
 * that a frame claims, so that is checked before the library sees the frame.
 */
export class ZstdBlocks {
  #state: "frame" | "block" | "body" | "skip" = "frame";
  #head: number[] = [];
  #left = 0;
  #last = false;
  #checksum = false;

  *split(chunk: Uint8Array): Generator<Uint8Array> {
    let from = 0;
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === "body" || this.#state === "skip") {
        const n = Math.min(this.#left, chunk.length - at);
        at += n;
        this.#left -= n;
        if (this.#left > 0) break;
        this.#endOfPart();
        yield chunk.subarray(from, at);
        from = at;
        continue;
      }
      this.#head.push(chunk[at++] as number);
      if (this.#state === "frame") this.#frameHeader();
      else this.#blockHeader();
    }
    if (from < chunk.length) yield chunk.subarray(from);
  }

  finish(): void {
    if (this.#state !== "frame" || this.#head.length > 0) throw bad("zstd data is cut off");
  }

  #enter(state: "body" | "skip", length: number): void {
    this.#state = state;
    this.#left = length;
    this.#head = [];
    if (length === 0) this.#endOfPart();
  }

  #endOfPart(): void {
    this.#state = this.#state === "skip" || this.#last ? "frame" : "block";
  }

  #number(from: number, length: number): number {
    let value = 0;
    for (let i = length - 1; i >= 0; i--) value = value * 256 + (this.#head[from + i] ?? 0);
    return value;
  }

  #frameHeader(): void {
    const head = this.#head;
    if (head.length < 5) return;
    const magic = this.#number(0, 4);
    if ((magic & 0xfffffff0) >>> 0 === 0x184d2a50) {
      if (head.length === 8) this.#enter("skip", this.#number(4, 4));
      return;
    }
    if (magic !== 0xfd2fb528) throw bad("zstd data is followed by something else");
    const descriptor = head[4] as number;
    const single = (descriptor >> 5) & 1;
    const dictionary = [0, 1, 2, 4][descriptor & 3] as number;
    const sizeBytes = descriptor >> 6 ? 1 << (descriptor >> 6) : single;
    const length = 5 + (1 - single) + dictionary + sizeBytes;
    if (head.length < length) return;
    if (this.#number(6 - single, dictionary) !== 0) throw bad("zstd data needs a dictionary");
    const exponent = (head[5] as number) >> 3;
    const window = single
      ? this.#number(5 + dictionary, sizeBytes)
      : 2 ** (10 + exponent) * (1 + ((head[5] as number) & 7) / 8);
    if (window > WINDOW_MAX) throw bad("zstd data needs a window of more than 128 MiB");
    this.#checksum = (descriptor & 4) !== 0;
    this.#last = false;
    this.#head = [];
    this.#state = "block";
  }

  #blockHeader(): void {
    if (this.#head.length < 3) return;
    const header = this.#number(0, 3);
    const type = (header >> 1) & 3;
    this.#last = (header & 1) === 1;
    const checksum = this.#last && this.#checksum ? 4 : 0;
    this.#enter("body", (type === 1 ? 1 : header >> 3) + checksum);
  }
}

/** Bytes after which the library's used buffers are collected. */
const SWEEP_EVERY = 8 << 20;

type Collect = (options: { type: "minor" }) => void;

/** V8 sees how small the objects are, not how large the buffers behind them, and lets tens of megabytes of those lie. */
function collector(): Collect {
  setFlagsFromString("--expose-gc");
  return runInNewContext("gc") as Collect;
}

/** In JavaScript: for a Node without zstd of its own (before 22.15). */
async function* unzstdInJavaScript(source: ByteSource): AsyncGenerator<Uint8Array> {
  let out: Uint8Array[] = [];
  const collect = collector();
  let made = 0;
  const blocks = new ZstdBlocks();
  const decompress = new Decompress((piece) => {
    if (piece.length > 0) out.push(piece);
    made += piece.length;
  });
  const push = (piece: Uint8Array, final: boolean) => {
    try {
      decompress.push(piece, final);
    } catch (cause) {
      throw cause instanceof TsboxError ? cause : bad((cause as Error).message);
    }
  };
  for await (const chunk of source) {
    for (const piece of blocks.split(chunk)) {
      push(piece, false);
      yield* out;
      out = [];
      if (made < SWEEP_EVERY) continue;
      collect({ type: "minor" });
      made = 0;
    }
  }
  blocks.finish();
  push(new Uint8Array(0), true);
  yield* out;
}

type CreateZstd = (options: { chunkSize: number; readableHighWaterMark: number }) => zlib.Gunzip;

export function unzstd(source: ByteSource, native = true): AsyncGenerator<Uint8Array> {
  const create = (zlib as unknown as { createZstdDecompress?: CreateZstd }).createZstdDecompress;
  if (!native || !create) return unzstdInJavaScript(source);
  return throughTransform(source, create);
}
