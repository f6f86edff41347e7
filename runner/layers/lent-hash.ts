import { createHash } from "node:crypto";

/** Words of the shared memory. Pieces that were put into the queue, pieces that were hashed; the next ones are 0 or 1. */
const PUT = 0;
const HASHED = 1;
const TOLD = 2;
const ENDED = 3;
const ANSWERED = 4;
/** From here on the queue: where each piece lies, and its length. */
const QUEUE = 8;
const LENGTH = 64;
const WORDS = QUEUE + 2 * LENGTH;

const DIGEST_BYTES = 32;

/** What both sides see. */
interface Shared {
  words: Int32Array;
  digest: Uint8Array;
}

function views(shared: SharedArrayBuffer): Shared {
  return { words: new Int32Array(shared, 0, WORDS), digest: new Uint8Array(shared, WORDS * 4, DIGEST_BYTES) };
}

/**
 * SHA-256 of what this thread makes in shared memory, by a Hasher on another thread that has the time. Blocks where that falls behind, which only a
 * worker may. For one digest.
 */
export class LentHash {
  readonly #shared: Shared;
  readonly #lasting: number;
  readonly #tell: () => void;

  /** Pieces stay as they are while `lasting` more are made. `tell` has the Hasher's thread call work(). */
  constructor(shared: SharedArrayBuffer, lasting: number, tell: () => void) {
    this.#shared = views(shared);
    this.#lasting = Math.min(lasting, LENGTH - 1);
    this.#tell = tell;
  }

  /** Once it returns, one more piece may be made. */
  update(piece: Uint8Array): void {
    const { words } = this.#shared;
    const put = Atomics.load(words, PUT);
    const at = QUEUE + 2 * (put % LENGTH);
    Atomics.store(words, at, piece.byteOffset);
    Atomics.store(words, at + 1, piece.length);
    Atomics.store(words, PUT, put + 1);
    this.#advance();
    for (;;) {
      const hashed = Atomics.load(words, HASHED);
      if (put + 1 - hashed <= this.#lasting) return;
      Atomics.wait(words, HASHED, hashed);
    }
  }

  digest(_encoding: "hex"): string {
    const { words, digest } = this.#shared;
    Atomics.store(words, ENDED, 1);
    this.#advance();
    while (Atomics.load(words, ANSWERED) === 0) Atomics.wait(words, ANSWERED, 0);
    return Buffer.from(digest).toString("hex");
  }

  #advance(): void {
    if (Atomics.exchange(this.#shared.words, TOLD, 1) === 0) this.#tell();
  }
}

/** Does the work for a LentHash; never blocks. */
export class Hasher {
  readonly shared = new SharedArrayBuffer(WORDS * 4 + DIGEST_BYTES);
  readonly #memory: ArrayBufferLike;
  readonly #views = views(this.shared);
  readonly #hash = createHash("sha256");

  /** `memory`: what the pieces lie in. */
  constructor(memory: ArrayBufferLike) {
    this.#memory = memory;
  }

  /** Hashes what is there. */
  work(): void {
    const { words, digest } = this.#views;
    // in this order: what comes later is told again
    Atomics.store(words, TOLD, 0);
    const ended = Atomics.load(words, ENDED) === 1;
    for (let hashed = Atomics.load(words, HASHED); hashed < Atomics.load(words, PUT); hashed++) {
      const at = QUEUE + 2 * (hashed % LENGTH);
      this.#hash.update(new Uint8Array(this.#memory, Atomics.load(words, at), Atomics.load(words, at + 1)));
      Atomics.store(words, HASHED, hashed + 1);
      Atomics.notify(words, HASHED);
    }
    // the end may be seen before it is told
    if (!ended || Atomics.load(words, ANSWERED) === 1) return;
    digest.set(this.#hash.digest());
    Atomics.store(words, ANSWERED, 1);
    Atomics.notify(words, ANSWERED);
  }
}
