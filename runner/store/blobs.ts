import { existsSync, readFileSync } from "node:fs";
import { TsboxError } from "../base/error.ts";
import type { Digest } from "../oci/types.ts";
import type { StoreLayout } from "./layout.ts";

/* Looking at blobs, which every `run` does, apart from making them (blob-store.ts), which needs hashes and streams. */

export function hasBlob(layout: StoreLayout, digest: Digest): boolean {
  return existsSync(layout.blob(digest));
}

export function readBlob(layout: StoreLayout, digest: Digest): Buffer {
  try {
    return readFileSync(layout.blob(digest));
  } catch (cause) {
    throw new TsboxError(`Cannot read blob ${digest}: it is not in the store`, {
      code: "NO_BLOB",
      cause,
      hint: "pull or load the image again",
    });
  }
}
