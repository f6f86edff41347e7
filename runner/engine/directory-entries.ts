import { createReadStream } from "node:fs";
import { readdir } from "node:fs/promises";
import { join } from "node:path";

/** A file of an archive or folder: its content, or the file that it stands for. */
export type InputEntry =
  | { path: string; content: AsyncIterable<Uint8Array>; link?: undefined }
  | { path: string; link: string };

/** The files of an OCI folder, in the form that archives are read in. Links are not followed: nothing of the formats needs them. */
export async function* directoryEntries(root: string, below = ""): AsyncGenerator<InputEntry> {
  for (const entry of await readdir(join(root, below), { withFileTypes: true })) {
    const path = below === "" ? entry.name : `${below}/${entry.name}`;
    if (entry.isDirectory()) yield* directoryEntries(root, path);
    else if (entry.isFile()) yield { path, content: createReadStream(join(root, path), { highWaterMark: 1 << 20 }) };
  }
}
