/**
 * The source again, until the signal: also while the source has nothing to give, as standard input that nobody writes to. A source that is in the middle of
 * something then ends by itself, later.
 */
export async function* abortable<T>(source: AsyncIterable<T>, signal?: AbortSignal): AsyncGenerator<T> {
  signal?.throwIfAborted();
  const items = source[Symbol.asyncIterator]();
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(signal?.reason);
  });
  aborted.catch(() => {}); // told to whoever reads
  signal?.addEventListener("abort", abort, { once: true });
  let complete = false;
  try {
    for (;;) {
      const { done, value } = await Promise.race([items.next(), aborted]);
      if (done) break;
      yield value;
    }
    complete = true;
  } finally {
    signal?.removeEventListener("abort", abort);
    // not waited for: it may be asked for an item that never comes
    if (!complete) Promise.resolve(items.return?.()).catch(() => {});
  }
}
