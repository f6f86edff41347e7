/** What is made, digested and compressed at once. */
export const PIECE = 1 << 20;

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
