/** What is made, digested and compressed at once. */
export const PIECE = 1 << 20;

/** The same bytes in pieces of one size, as the compressor likes them: what it makes then depends on the bytes alone. */
export async function* inPieces(source: AsyncIterable<Uint8Array>, pool = new PiecePool()): AsyncGenerator<Buffer> {
  let piece = pool.take();
  let used = 0;
  for await (const chunk of source) {
    for (let from = 0; from < chunk.length; ) {
      const count = Math.min(PIECE - used, chunk.length - from);
      piece.set(chunk.subarray(from, from + count), used);
      used += count;
      from += count;
      if (used < PIECE) continue;
      yield piece;
      piece = pool.take();
      used = 0;
    }
  }
  if (used > 0) yield piece.subarray(0, used);
}

/** Buffers that are used again: memory that is new to a process costs it more than all the copying. */
export class PiecePool {
  readonly #free: Buffer[] = [];

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(PIECE);
  }

  /** The last piece of an archive is a part of a buffer. */
  give(piece: Buffer): void {
    if (piece.length === PIECE) this.#free.push(piece);
  }
}
