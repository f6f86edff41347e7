import { readSync, writeSync } from "node:fs";

/** Each word from the helper's apply: how many bytes of contents it has used so far. */
const WORD = 8;

/**
 * The socket to a helper's apply that has mapped the memory in which contents lie: takes the records, and knows what of that memory is needed no more. For a
 * thread that may block.
 */
export class Lender {
  readonly #socket: number;
  readonly #lasting: number;
  readonly #words = Buffer.alloc(64 * WORD);
  #used = 0;
  /** How much had been lent after each of the last pieces. */
  readonly #ends: number[] = [];

  /** Pieces of the memory stay as they are while `lasting` more are made. */
  constructor(socket: number, lasting: number) {
    this.#socket = socket;
    this.#lasting = lasting;
  }

  send(records: Uint8Array): void {
    for (let done = 0; done < records.length; ) done += writeSync(this.#socket, records, done, records.length - done);
  }

  /** The records of a piece were sent, so many bytes are lent now. Once it returns, one more piece may be made. */
  pieceSent(lent: number): void {
    this.#ends.push(lent);
    if (this.#ends.length > this.#lasting) this.#waitFor(this.#ends.shift() as number);
  }

  #waitFor(bytes: number): void {
    while (this.#used < bytes) {
      const length = readSync(this.#socket, this.#words);
      if (length < WORD) throw Object.assign(new Error("EPIPE: the helper has gone"), { code: "EPIPE" });
      this.#used = Number(this.#words.readBigUInt64LE(length - WORD));
    }
  }
}
