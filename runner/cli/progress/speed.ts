/** Bytes a second of the last seconds: what was there at the start was not transferred, and what was long ago says nothing. */
export class Speed {
  /** Milliseconds that are looked back. */
  static readonly WINDOW = 3000;
  #samples: { time: number; bytes: number }[] = [];

  add(bytes: number, time: number): void {
    const last = this.#samples.at(-1);
    // begun anew: a resumed blob that the registry sends from its start
    if (last && bytes < last.bytes) this.#samples = [];
    this.#samples.push({ time, bytes });
    // one sample from before the window stays: the window's own bytes are counted from it
    while ((this.#samples[1]?.time ?? time) < time - Speed.WINDOW) this.#samples.shift();
  }

  /** Undefined as long as nothing can be said. */
  at(time: number): number | undefined {
    const [first] = this.#samples;
    const last = this.#samples.at(-1);
    if (!first || !last || time - first.time < 250) return undefined;
    return ((last.bytes - first.bytes) * 1000) / (time - first.time);
  }
}
