/** Hands values from one task to another; whoever gives waits while too many lie there. */
export class Channel<T> implements AsyncIterable<T> {
  readonly #values: T[] = [];
  readonly #room: number;
  #ended = false;
  #failure: unknown;
  #abandoned = false;
  #wake: (() => void)[] = [];

  constructor(room: number) {
    this.#room = room;
  }

  async push(value: T): Promise<void> {
    while (this.#values.length >= this.#room && !this.#abandoned) await this.#change();
    if (this.#abandoned) return;
    this.#values.push(value);
    this.#tell();
  }

  end(failure?: unknown): void {
    this.#ended = true;
    this.#failure = failure;
    this.#tell();
  }

  /** Nobody will read any more: whoever gives does not wait. */
  abandon(): void {
    this.#abandoned = true;
    this.#tell();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    try {
      for (;;) {
        const value = this.#values.shift();
        if (value !== undefined) {
          this.#tell();
          yield value;
        } else if (this.#failure !== undefined) throw this.#failure;
        else if (this.#ended) return;
        else await this.#change();
      }
    } finally {
      this.#abandoned = true;
      this.#tell();
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #tell(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}
