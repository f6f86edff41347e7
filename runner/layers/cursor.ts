import { TsboxError, visible } from "../base/error.ts";
import { ReaderFlag, ReaderStatus } from "./abi.ts";
import { type Engine, engineText, newEngine } from "./engine.ts";

/** What an archive has next: more input is needed, a record, a piece of its content, or the end. */
export type Step = "input" | "record" | "data" | "end";

export interface ReadOptions {
  /** Names of OCI whiteouts mean whiteouts. True for layers, false for archives that hold them. */
  whiteouts: boolean;
}

const NONE = new Uint8Array(0);

/**
 * The engine's other half: hands it headers and keeps content away from it. Synchronous; whoever
 * owns the source pushes a chunk whenever next() answers "input".
 */
export class ArchiveCursor {
  /** After "record": the record, in the engine's memory, valid until the next call. */
  record: Uint8Array = NONE;
  /** After "data": a part of the chunk that was pushed; valid as long as the chunk is. */
  data: Uint8Array = NONE;

  #engine: Engine;
  #status: number = ReaderStatus.NEED_INPUT;
  #told = false;
  #chunk: Uint8Array = NONE;
  #at = 0;
  #ended = false;
  /** Of the content that passes now: how much, and how much of it has passed. */
  #length = 0;
  #passed = 0;

  constructor(options: ReadOptions) {
    this.#engine = newEngine();
    this.#engine.exports.reader_new(options.whiteouts ? ReaderFlag.WHITEOUTS : 0);
  }

  /** Only after "input": what was pushed before must have been used up. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** The source has no more chunks. */
  finish(): void {
    this.#ended = true;
  }

  /** How much of the last chunk is used up. */
  get used(): number {
    return this.#at;
  }

  /** After "record": passes its content over. So many bytes of it are not in the last chunk; the next chunk must begin behind them. */
  skipContent(): number {
    if (!this.#told) return 0;
    this.#told = false;
    this.#enter(this.#engine.exports.reader_next());
    if (this.#status !== ReaderStatus.DATA) return 0;
    const here = Math.min(this.#length, this.#chunk.length - this.#at);
    this.#at += here;
    this.#passed = this.#length;
    this.#told = true;
    return this.#length - here;
  }

  next(): Step {
    const { exports, memory } = this.#engine;
    if (this.#told) {
      this.#told = false;
      this.#enter(exports.reader_next());
    }
    for (;;) {
      const available = this.#chunk.length - this.#at;
      switch (this.#status) {
        case ReaderStatus.NEED_INPUT: {
          if (available === 0) {
            if (!this.#ended) return "input";
            this.#enter(exports.reader_finish(0));
            break;
          }
          const n = Math.min(exports.reader_want(), available);
          memory.set(this.#chunk.subarray(this.#at, this.#at + n), exports.reader_buffer());
          this.#at += n;
          this.#enter(exports.reader_feed(n));
          break;
        }
        case ReaderStatus.DATA:
        case ReaderStatus.SKIP: {
          const n = Math.min(this.#length - this.#passed, available);
          if (n === 0) {
            if (!this.#ended) return "input";
            this.#enter(exports.reader_finish(this.#passed));
            break;
          }
          const skip = this.#status === ReaderStatus.SKIP;
          if (!skip) this.data = this.#chunk.subarray(this.#at, this.#at + n);
          this.#at += n;
          this.#passed += n;
          if (this.#passed === this.#length) {
            if (skip) this.#enter(exports.reader_next());
            else this.#told = true;
          }
          if (!skip) return "data";
          break;
        }
        case ReaderStatus.RECORD:
          this.#told = true;
          this.#showRecord();
          return "record";
        case ReaderStatus.END:
          this.#showRecord();
          return "end";
        default:
          throw this.#error();
      }
    }
  }

  #enter(status: number): void {
    this.#status = status;
    if (status === ReaderStatus.DATA || status === ReaderStatus.SKIP) {
      this.#length = this.#engine.exports.reader_data_length();
      this.#passed = 0;
    }
  }

  #showRecord(): void {
    const { exports, memory } = this.#engine;
    const pointer = exports.record_pointer();
    this.record = memory.subarray(pointer, pointer + exports.record_length());
  }

  #error(): TsboxError {
    const { exports } = this.#engine;
    const text = engineText(this.#engine, exports.reader_error_pointer(), exports.reader_error_length());
    return new TsboxError(`Cannot read archive: ${visible(text)}`, { code: "BAD_ARCHIVE" });
  }
}
