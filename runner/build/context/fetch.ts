import { createHash } from "node:crypto";
import { closeSync, openSync, writeSync } from "node:fs";
import { join } from "node:path";
import { downloadFile } from "../../registry/download.ts";
import { scratchFolder } from "../scratch-folder.ts";
import type { BuildWorld } from "../stage-builder.ts";

export interface FetchedFile {
  path: string;
  /** SHA-256 in hexadecimal. */
  digest: string;
  size: number;
  /** Seconds since 1970. */
  modified: number;
}

/** Fetches a file by HTTP into a folder that goes with the build. */
export async function putFile(
  world: Pick<BuildWorld, "engine" | "trash" | "options">,
  address: string,
  name: string,
): Promise<FetchedFile> {
  const path = join(scratchFolder(world), "fetched");
  const fd = openSync(path, "wx", 0o600);
  const hash = createHash("sha256");
  let size = 0;
  try {
    for await (const chunk of downloadFile(address, `fetch "${name}"`, world.options.signal)) {
      hash.update(chunk);
      for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done);
      size += chunk.length;
    }
  } finally {
    closeSync(fd);
  }
  return { path, digest: hash.digest("hex"), size, modified: 0 };
}
