import { createReadStream } from "node:fs";
import { open, readdir, stat } from "node:fs/promises";
import { join } from "node:path";

/** A file of an archive or folder: its content, or the file that it stands for. */
export type InputEntry =
  | { path: string; content: AsyncIterable<Uint8Array>; range?: FileRange; link?: undefined }
  | { path: string; link: string };

/** Where content lies in a file on the disk, and how it begins. */
export interface FileRange {
  path: string;
  offset: number;
  size: number;
  head: Buffer;
}

/** The files of an OCI folder, in the form that archives are read in. Links are not followed: nothing of the formats needs them. */
export async function* directoryEntries(root: string, below = ""): AsyncGenerator<InputEntry> {
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) yield* directoryEntries(root, path);
    else if (entry.isFile()) {
      const file = join(root, path);
      yield { path, content: chunks(file), range: await fileRange(file) };
    }
  }
}

async function fileRange(path: string): Promise<FileRange> {
  const { size } = await stat(path);
  return { path, offset: 0, size, head: await readHead(path, 0) };
}

export async function readHead(path: string, offset: number): Promise<Buffer> {
  const file = await open(path, "r");
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(8), 0, 8, offset);
    return buffer.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** Opened when it is read: a large file is read later, or not at all. */
async function* chunks(path: string): AsyncGenerator<Uint8Array> {
  yield* createReadStream(path, { highWaterMark: 1 << 20 });
}
