/**
 * The source again, until the signal: also while the source has nothing to give, as standard input that nobody writes to. A source that is in the middle of
 * something then ends by itself, later.
 */
export async function* abortable<T>(source: AsyncIterable<T>, signal?: AbortSignal): AsyncGenerator<T> {
  signal?.throwIfAborted();
  const items = source[Symbol.asyncIterator]();
  // not Promise.race with one promise for all: that would hold every item until the end
  let stop: (reason: unknown) => void = () => {};
  const abort = () => stop(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  let complete = false;
  try {
    for (;;) {
      const { done, value } = await new Promise<IteratorResult<T>>((resolve, reject) => {
        stop = reject;
        items.next().then(resolve, reject);
      });
      if (done) break;
      yield value;
      signal?.throwIfAborted();
    }
    complete = true;
  } finally {
    signal?.removeEventListener("abort", abort);
    // not waited for: it may be asked for an item that never comes
    if (!complete) Promise.resolve(items.return?.()).catch(() => {});
  }
}
