import { existsSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { digestHex } from "../oci/digest.ts";
import type { Digest } from "../oci/types.ts";
import type { StoreLayout } from "./layout.ts";
import { stagingFolder } from "./staging.ts";

/**
 * Blobs of an archive before it is known what they mean, and whether all of it is right: they lie in a staging folder, and those that an image
 * needs are moved among the store's blobs in the end. What is left goes with the folder, or, after a kill, with the next collection of garbage.
 */
export interface Inbox {
  /** The store as seen from here: new blobs go into the folder, those of the store can be read too. */
  layout: StoreLayout;
  /** Moves blobs into the store. */
  adopt(digests: Digest[]): void;
  release(): void;
}

export function openInbox(store: StoreLayout): Inbox {
  const staged = stagingFolder(store);
  const place = (digest: Digest) => join(staged.path, digestHex(digest));
  return {
    layout: {
      ...store,
      blob(digest) {
        const kept = store.blob(digest);
        return existsSync(kept) ? kept : place(digest);
      },
    },
    adopt(digests) {
      for (const digest of digests) if (existsSync(place(digest))) renameSync(place(digest), store.blob(digest));
    },
    release() {
      rmSync(staged.path, { recursive: true, force: true });
      staged.release();
    },
  };
}
