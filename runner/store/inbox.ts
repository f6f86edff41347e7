import { createHash } from "node:crypto";
import { createReadStream, existsSync, renameSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { Growth } from "../base/growth.ts";
import { digestHex } from "../oci/digest.ts";
import type { Digest } from "../oci/types.ts";
import type { BlobFile } from "./blob-store.ts";
import type { StoreLayout } from "./layout.ts";
import { stagingFolder } from "./staging.ts";

/** A stream that became a blob. `head` is its first bytes. */
export interface Received {
  digest: Digest;
  size: number;
  head: Buffer;
}

/**
 * Blobs of an archive before it is known what they mean, and whether all of it is right: they lie in a staging folder, and those that an image
 * needs are moved among the store's blobs in the end. What is left goes with the folder, or, after a kill, with the next collection of garbage.
 */
export interface Inbox {
  /** The store as seen from here: blobs that arrived, and those of the store. */
  layout: StoreLayout;
  /** Keeps a stream as a blob; with `expected` anything else is refused. It can be read at once, and is on the disk when it was adopted. */
  receive(source: AsyncIterable<Uint8Array>, expected?: Digest): Promise<Received>;
  /**
   * The same of a stream of known length and digest, which can be unpacked while it comes: its last byte is told of when all are right. `before` is
   * waited for, so that several are received one after the other.
   */
  receiving(
    open: () => AsyncIterable<Uint8Array>,
    expected: Digest,
    size: number,
    before?: Promise<unknown>,
  ): Receiving;
  /** Moves blobs into the store. */
  adopt(digests: Digest[]): Promise<void>;
  release(): void;
}

/** A blob that is on its way. */
export interface Receiving extends BlobFile {
  done: Promise<void>;
}

const HEAD = 8;

export function openInbox(store: StoreLayout): Inbox {
  const staged = stagingFolder(store);
  const place = (digest: Digest) => join(staged.path, digestHex(digest));
  // the disk takes its time, while what was received is unpacked already
  const syncs = new Map<Digest, Promise<void>>();
  let count = 0;
  return {
    layout: {
      ...store,
      blob(digest) {
        // what has just arrived is right; the store's copy may be damaged, and is replaced
        const kept = store.blob(digest);
        return syncs.has(digest) || !existsSync(kept) ? place(digest) : kept;
      },
    },
    async receive(source, expected) {
      const path = join(staged.path, `part-${count++}`);
      const file = await open(path, "wx", 0o600);
      const hash = createHash("sha256");
      let size = 0;
      let head = Buffer.alloc(0);
      let syncing = false;
      try {
        for await (const chunk of source) {
          hash.update(chunk);
          if (head.length < HEAD) head = Buffer.concat([head, chunk.subarray(0, HEAD)]);
          // not in the thread pool: a copy to the page cache takes less time than the way there
          for (let done = 0; done < chunk.length; ) done += writeSync(file.fd, chunk, done);
          size += chunk.length;
        }
        const digest: Digest = `sha256:${hash.digest("hex")}`;
        if (expected !== undefined && digest !== expected) throw mismatch(expected, digest);
        if (syncs.has(digest)) {
          rmSync(path);
          return { digest, size, head };
        }
        renameSync(path, place(digest));
        const sync = file.datasync().finally(() => file.close());
        sync.catch(() => {}); // told when it is adopted
        syncs.set(digest, sync);
        syncing = true;
        return { digest, size, head };
      } finally {
        if (!syncing) await file.close();
      }
    },
    receiving(source, expected, size, before) {
      const path = join(staged.path, `part-${count++}`);
      writeFileSync(path, "", { mode: 0o600 });
      const growth = new Growth();
      const fill = async () => {
        await before?.catch(() => {});
        const file = await open(path, "r+");
        let syncing = false;
        try {
          const hash = createHash("sha256");
          let length = 0;
          for await (const chunk of source()) {
            if (length + chunk.length > size) throw mismatch(expected, `more than ${size} bytes`);
            for (let done = 0; done < chunk.length; ) done += writeSync(file.fd, chunk, done);
            // whoever follows is at work while this is hashed
            length += chunk.length;
            growth.advance(Math.min(length, size - 1));
            hash.update(chunk);
          }
          const digest = `sha256:${hash.digest("hex")}`;
          if (digest !== expected) throw mismatch(expected, digest);
          if (!syncs.has(expected)) renameSync(path, place(expected));
          const sync = file.datasync().finally(() => file.close());
          sync.catch(() => {}); // told when it is adopted
          syncs.set(expected, sync);
          syncing = true;
          growth.advance(size);
          growth.end(false);
        } catch (error) {
          growth.end(true);
          throw error;
        } finally {
          if (!syncing) await file.close();
        }
      };
      const done = fill();
      done.catch(() => {}); // told to whoever follows, and to whoever waits
      return {
        size,
        growth,
        done,
        open: () => open(existsSync(path) ? path : place(expected), "r"),
        async *bytes() {
          await done;
          yield* createReadStream(place(expected), { highWaterMark: 1 << 20 });
        },
      };
    },
    async adopt(digests) {
      for (const digest of digests) {
        await syncs.get(digest);
        if (existsSync(place(digest))) renameSync(place(digest), store.blob(digest));
        // another image of the archive may have it too
        syncs.delete(digest);
      }
    },
    release() {
      rmSync(staged.path, { recursive: true, force: true });
      staged.release();
    },
  };
}

function mismatch(want: Digest, got: string): TsboxError {
  return new TsboxError(`Cannot keep blob: got ${got}, want ${want}`, {
    code: "DIGEST_MISMATCH",
    hint: "the source is damaged or was changed on the way; nothing of it was kept",
  });
}
