/** Words of the shared memory: a count of changes to wait on, the state; and, as one of 64 bits, the bytes. */
const CHANGES = 0;
const STATE = 1;
const BYTES = 1;

const GROWING = 0;
const COMPLETE = 1;
const FAILED = 2;

/**
 * How much of a file is there while it is being written: told by one thread, waited for by another. The second blocks, which only a worker may;
 * blocking costs less than a message for each piece.
 */
export class Growth {
  readonly shared: SharedArrayBuffer;
  readonly #words: Int32Array;
  readonly #bytes: BigInt64Array;

  constructor(shared = new SharedArrayBuffer(16)) {
    this.shared = shared;
    this.#words = new Int32Array(shared);
    this.#bytes = new BigInt64Array(shared);
  }

  advance(bytes: number): void {
    Atomics.store(this.#bytes, BYTES, BigInt(bytes));
    this.#tell();
  }

  end(failed: boolean): void {
    Atomics.store(this.#words, STATE, failed ? FAILED : COMPLETE);
    this.#tell();
  }

  /** Blocks until `wanted` bytes are there or no more will come; how many there are. Throws when they are void. */
  waitFor(wanted: number): number {
    for (;;) {
      const seen = Atomics.load(this.#words, CHANGES);
      const state = Atomics.load(this.#words, STATE);
      if (state === FAILED) throw new GrowthFailed("the bytes are void: their source failed");
      const bytes = Number(Atomics.load(this.#bytes, BYTES));
      if (bytes >= wanted || state !== GROWING) return bytes;
      Atomics.wait(this.#words, CHANGES, seen);
    }
  }

  #tell(): void {
    Atomics.add(this.#words, CHANGES, 1);
    Atomics.notify(this.#words, CHANGES);
  }
}

/** The `code` of a GrowthFailed, also where its class was lost between threads. */
export const SOURCE_FAILED = "SOURCE_FAILED";

/** Why they are void is known to whoever wrote them. */
export class GrowthFailed extends Error {
  override readonly name = "GrowthFailed";
  readonly code = SOURCE_FAILED;
}
