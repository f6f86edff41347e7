import { createHash, type Hash } from "node:crypto";
import { createReadStream, existsSync, renameSync, rmSync, statSync, writeFileSync, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { diskFault } from "../base/disk-fault.ts";
import { TsboxError } from "../base/error.ts";
import { Growth } from "../base/growth.ts";
import { digestHex } from "../oci/digest.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import { lock, unlock } from "../sys/native.ts";
import { hasBlob } from "./blobs.ts";
import { makeStore, type StoreLayout } from "./layout.ts";
import { stagingFile } from "./staging.ts";

const READ_SIZE = 1 << 20;

/** How often a stream that breaks is taken up again without much progress in between. */
const MAX_BREAKS = 5;
const PROGRESS = 64 << 10;
const FIRST_PAUSE = 100;

/** Bytes that are not those that were asked for. */
export class BlobMismatch extends TsboxError {
  /** Some of them were left by an earlier attempt: the fault may be theirs, and they are gone now. */
  resumed = false;
}

export function blobStream(layout: StoreLayout, digest: Digest): AsyncIterable<Uint8Array> {
  return createReadStream(layout.blob(digest), { highWaterMark: READ_SIZE });
}

/** Keeps a small blob; one that is there already is left as it is. */
export function putBlob(layout: StoreLayout, bytes: Uint8Array): { digest: Digest; size: number } {
  const digest: Digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  if (!hasBlob(layout, digest)) {
    const staged = stagingFile(layout);
    try {
      writeFileSync(staged.path, bytes, { mode: 0o600, flush: true } as never);
      renameSync(staged.path, layout.blob(digest));
    } finally {
      staged.release();
    }
  }
  return { digest, size: bytes.length };
}

/** Keeps a stream as a blob; with `expected` anything else is refused. `head` is its first bytes. */
export async function putBlobStream(
  layout: StoreLayout,
  source: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  expected?: Digest,
): Promise<{ digest: Digest; size: number; head: Buffer }> {
  const staged = stagingFile(layout);
  const file = await open(staged.path, "wx", 0o600);
  const hash = createHash("sha256");
  let size = 0;
  let head = Buffer.alloc(0);
  try {
    for await (const chunk of source) {
      hash.update(chunk);
      if (head.length < 8) head = Buffer.concat([head, chunk.subarray(0, 8)]);
      size += chunk.length;
      writeWhole(file.fd, chunk, size - chunk.length);
    }
    const digest: Digest = `sha256:${hash.digest("hex")}`;
    if (expected !== undefined && digest !== expected) throw mismatch(expected, digest);
    await file.datasync();
    renameSync(staged.path, layout.blob(digest));
    return { digest, size, head };
  } finally {
    await file.close();
    staged.release();
  }
}

/** A blob as a file that can be read from anywhere in it; `growth` tells how much of it is there. */
export interface BlobFile {
  size: number;
  growth?: Growth;
  /** Of one that is on its way: settles when it has come, or with the reason why it has not. */
  done?: Promise<void>;
  open(): Promise<FileHandle>;
  /** All bytes from the start, as they come. */
  bytes(): AsyncIterable<Uint8Array>;
}

export function blobFile(layout: StoreLayout, digest: Digest): BlobFile {
  const path = layout.blob(digest);
  return { size: statSync(path).size, open: () => open(path, "r"), bytes: () => blobStream(layout, digest) };
}

/** Opens the source's bytes from an offset on; `start` is where they really begin. */
export type OpenBlob = (offset: number) => Promise<{
  start: number;
  /** What `take` gets changes after it returns; what it throws ends the source. */
  eachChunk(take: (chunk: Uint8Array) => void): Promise<void>;
}>;

/**
 * A blob on its way into the store. It is written beside the store's blobs and gets its name when size and digest are right; a part that a killed
 * process left is taken up again. Readers follow the file while it grows. One process downloads, others wait for it.
 */
export class BlobDownload implements BlobFile {
  readonly size: number;
  readonly growth = new Growth();
  readonly done: Promise<void>;
  readonly #layout: StoreLayout;
  readonly #descriptor: Descriptor;
  readonly #partial: string;
  #written = 0;
  #asked = false;
  #finished = false;
  #failure: unknown;
  #wake: (() => void)[] = [];

  constructor(
    layout: StoreLayout,
    descriptor: Descriptor,
    openBlob: OpenBlob,
    private readonly onProgress: (bytes: number) => void,
    private readonly signal?: AbortSignal,
    /** Nothing is done, nor a lock waited for, before this has settled. */
    private readonly after: Promise<unknown> = Promise.resolve(),
  ) {
    this.#layout = layout;
    this.#descriptor = descriptor;
    this.size = descriptor.size;
    this.#partial = join(layout.tmp, `blob-${digestHex(descriptor.digest)}.partial`);
    this.done = this.#download(openBlob).then(
      () => this.#end(undefined),
      (error) => {
        this.#end(error);
        throw error;
      },
    );
    this.done.catch(() => {}); // told to whoever awaits or reads
  }

  /** All bytes from the start, as they come. Ends with the failure of the download, if it fails. */
  async *bytes(): AsyncGenerator<Uint8Array> {
    let offset = 0;
    let file: FileHandle | undefined;
    try {
      for (;;) {
        if (this.#failure !== undefined) throw this.#failure;
        const available = this.#written - offset;
        if (available <= 0 && this.#finished) return;
        const whole = this.#finished || this.#written === this.#descriptor.size;
        // large pieces: each costs those who read a trip through the thread pool
        if (available <= 0 || (available < READ_SIZE && !whole)) {
          await new Promise<void>((resolve) => this.#wake.push(resolve));
          continue;
        }
        file ??= await this.#open();
        const { bytesRead, buffer } = await file.read(
          Buffer.allocUnsafe(Math.min(READ_SIZE, available)),
          0,
          undefined,
          offset,
        );
        offset += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    } finally {
      await file?.close();
    }
  }

  /** Once its bytes are on their way; its digest may still turn out to be wrong. */
  async open(): Promise<FileHandle> {
    // not later: a download leaves this thread little time for anything else
    while (!this.#asked && !this.#finished) await new Promise<void>((resolve) => this.#wake.push(resolve));
    if (this.#failure !== undefined) throw this.#failure;
    return this.#open();
  }

  /** The bytes lie under one of two names: the first is renamed to the second when all are there. */
  async #open(): Promise<FileHandle> {
    try {
      return await open(this.#partial, "r");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    try {
      return await open(this.#layout.blob(this.#descriptor.digest), "r");
    } catch (error) {
      throw this.#failure ?? error;
    }
  }

  async #download(openBlob: OpenBlob): Promise<void> {
    // waiting for its turn while holding a lock, it could wait for a process that waits for that lock
    await this.after.catch(() => {});
    this.signal?.throwIfAborted();
    makeStore(this.#layout);
    const held = await lock(this.#layout.lock(`blob-${digestHex(this.#descriptor.digest)}`));
    try {
      if (hasBlob(this.#layout, this.#descriptor.digest)) {
        this.#advance(statSync(this.#layout.blob(this.#descriptor.digest)).size);
        return;
      }
      await this.#fill(openBlob);
    } finally {
      unlock(held);
    }
  }

  async #fill(openBlob: OpenBlob): Promise<void> {
    const { digest, size } = this.#descriptor;
    const file = await open(this.#partial, existsSync(this.#partial) ? "r+" : "w+", 0o600);
    let resumed = false;
    try {
      let { hash, length } = await hashFile(file, size);
      resumed = length > 0;
      this.#advance(length);
      for (let breaks = 0, counted = length; length < size; ) {
        try {
          const answer = openBlob(length);
          this.#asked = true;
          this.#notify();
          const { start, eachChunk } = await answer;
          // sent whole again: readers have seen the first bytes, so these must come out the same
          if (start === 0 && length > 0) ({ hash, length } = { hash: createHash("sha256"), length: 0 });
          await eachChunk((chunk) => {
            if (length + chunk.length > size) throw mismatch(digest, `more than the ${size} bytes announced`);
            // not in the thread pool: a copy to the page cache takes less time than the way there
            keepChunk(digest, file.fd, chunk, length);
            hash.update(chunk);
            length += chunk.length;
            this.#advance(length);
          });
          if (length < size) throw new Error(`it ended after ${length} of ${size} bytes`);
        } catch (error) {
          this.signal?.throwIfAborted();
          if (error instanceof TsboxError) throw error;
          breaks = length - counted > PROGRESS ? 1 : breaks + 1;
          counted = length;
          if (breaks > MAX_BREAKS) throw cutOff(digest, error as Error);
          await sleep(FIRST_PAUSE * 2 ** (breaks - 1), undefined, { signal: this.signal });
        }
      }
      const got = `sha256:${hash.digest("hex")}`;
      if (got !== digest) throw mismatch(digest, got);
      await file.datasync();
      renameSync(this.#partial, this.#layout.blob(digest));
    } catch (error) {
      if (error instanceof BlobMismatch) {
        rmSync(this.#partial, { force: true });
        error.resumed = resumed;
      }
      throw error;
    } finally {
      await file.close();
    }
  }

  #advance(written: number): void {
    if (written > this.#written) this.#written = written;
    this.growth.advance(this.#written);
    this.onProgress(written);
    this.#notify();
  }

  #end(error: unknown): void {
    this.#failure = error;
    this.#finished = true;
    this.growth.end(error !== undefined);
    this.#notify();
  }

  #notify(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const resolve of wake) resolve();
  }
}

/** The digest so far of what a partial file holds; one longer than the blob is started anew. */
async function hashFile(file: FileHandle, size: number): Promise<{ hash: Hash; length: number }> {
  const hash = createHash("sha256");
  const { size: length } = await file.stat();
  if (length > size) {
    await file.truncate(0);
    return { hash, length: 0 };
  }
  const buffer = Buffer.allocUnsafe(READ_SIZE);
  for (let at = 0; at < length; ) {
    const { bytesRead } = await file.read(buffer, 0, READ_SIZE, at);
    if (bytesRead === 0) break;
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
  return { hash, length };
}

function writeWhole(fd: number, chunk: Uint8Array, position: number): void {
  for (let done = 0; done < chunk.length; ) done += writeSync(fd, chunk, done, chunk.length - done, position + done);
}

/** A full disk is no fault of the source, which is not asked again. */
function keepChunk(digest: Digest, fd: number, chunk: Uint8Array, position: number): void {
  try {
    writeWhole(fd, chunk, position);
  } catch (cause) {
    const { state, hint } = diskFault(cause) ?? { state: (cause as Error).message };
    throw new TsboxError(`Cannot keep blob ${digest}: ${state}`, {
      code: "NOT_WRITABLE",
      cause,
      ...(hint !== undefined && { hint }),
    });
  }
}

function cutOff(digest: Digest, cause: Error): TsboxError {
  return new TsboxError(`Cannot receive blob ${digest}: ${cause.message}`, {
    code: "BLOB_CUT_OFF",
    hint: "what arrived is kept: the next attempt goes on from there",
    cause,
  });
}

function mismatch(want: Digest, got: string): BlobMismatch {
  return new BlobMismatch(`Cannot keep blob: got ${got}, want ${want}`, {
    code: "DIGEST_MISMATCH",
    hint: "the source is damaged or was changed on the way; nothing of it was kept",
  });
}
