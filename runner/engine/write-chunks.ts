import type { FileHandle } from "node:fs/promises";

/** Writes a stream to a file: while one chunk is on its way to the disk, the next is read and hashed. */
export async function writeChunks(
  file: FileHandle,
  source: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  let writing: Promise<void> = Promise.resolve();
  try {
    for await (const chunk of source) {
      signal?.throwIfAborted();
      await writing;
      writing = writeAll(file, chunk);
      writing.catch(() => {}); // told by the next await
    }
  } finally {
    await writing;
  }
}

async function writeAll(file: FileHandle, chunk: Uint8Array): Promise<void> {
  for (let done = 0; done < chunk.length; ) done += (await file.write(chunk, done, chunk.length - done)).bytesWritten;
}
