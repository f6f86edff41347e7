/** Writes a stream to standard output, to the last byte: Node's own end-of-stream tells of what was handed over, and the process may leave before that was written. */
export async function writeStdout(source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
  for await (const chunk of source) {
    signal?.throwIfAborted();
    await new Promise<void>((resolve, reject) => {
      process.stdout.write(chunk, (error) => (error ? reject(error) : resolve()));
    });
  }
}
