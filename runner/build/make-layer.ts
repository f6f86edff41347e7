import { createHash } from "node:crypto";
import { mkdirSync } from "node:fs";
import { isBrokenPipe, refusalOf } from "../engine/apply-entries.ts";
import type { Engine } from "../engine/engine.ts";
import { explained } from "../engine/explain.ts";
import { removeTrees } from "../engine/remove-trees.ts";
import { type Applied, type Applying, applyLayer, EVENTS_FD } from "../helper/client.ts";
import { encodeRecord, layerRecord, RecordKind } from "../layers/abi.ts";
import { Batch, writableSink } from "../layers/batch.ts";
import { gzipPieces } from "../layers/gzip.ts";
import { checkLayerName } from "../layers/pack.ts";
import { PIECE, PiecePool } from "../layers/pieces.ts";
import { type OutgoingEntry, rawTarWriter } from "../layers/writer.ts";
import { OCI_LAYER_GZIP } from "../oci/media-types.ts";
import type { Digest } from "../oci/types.ts";
import { storePlan } from "../plan/build.ts";
import { type Identity, idMapText } from "../plan/idmap.ts";
import { putBlobStream } from "../store/blob-store.ts";
import type { BuiltLayer } from "../store/build-cache.ts";
import { claimLayers } from "../store/layer-origin.ts";
import { commitLayer, hasLayer } from "../store/layer-store.ts";
import { type StoreLayout, storeLayout } from "../store/layout.ts";
import { type Staged, stagingFolder } from "../store/staging.ts";
import { lock, unlock } from "../sys/native.ts";
import { Channel } from "./channel.ts";
import { chainOn, type ParentTree } from "./parent-tree.ts";

export type Blob = Pick<BuiltLayer, "digest" | "size">;

/** A layer whose tree is there; its blob may still be on its way to the disk: the steps after it need only the tree. */
export interface MadeLayer extends Omit<BuiltLayer, "digest" | "size"> {
  blob: Blob | Promise<Blob>;
}

export interface MakeLayerOptions {
  /** Seconds since 1970: no time in the layer is later. */
  sourceDateEpoch?: number;
  signal?: AbortSignal;
}

/** Many at a time where that can be had: waiting for each of 100,000 files costs as much as reading them. */
export type EntryGroup = Iterable<OutgoingEntry> | AsyncIterable<OutgoingEntry>;
type Entries = EntryGroup | AsyncIterable<EntryGroup>;

/**
 * Makes a layer of entries: one pass gives the unpacked tree, its tar's digest and, in the background, its compressed blob. The same entries give the
 * same bytes.
 */
export async function makeLayer(
  engine: Engine,
  identity: Identity,
  parent: ParentTree,
  entries: Entries,
  options: MakeLayerOptions = {},
): Promise<MadeLayer> {
  const { signal } = options;
  const layout = storeLayout(engine.root);
  await claimLayers(layout, identity.key, idMapText(identity));
  const staged = stagingFolder(layout);
  let committed = false;
  try {
    const root = `${staged.path}/root`;
    mkdirSync(root, { mode: 0o755 });
    const plan = storePlan(
      identity,
      [{ op: "private-mounts" }, { op: "apply", root, flags: [], lowers: parent.lowers }],
      EVENTS_FD,
    );
    const apply = applyLayer(plan);
    const pool = new PiecePool();
    const pieces = new Channel<Buffer>(4);
    const blob = putBlobStream(layout, gzipPieces(pieces, pool)).then(({ digest, size }) => ({ digest, size }));
    // told to whoever waits for it; its file may not even have been opened
    blob.catch(() => pieces.abandon());
    const abort = () => apply.kill();
    signal?.addEventListener("abort", abort, { once: true });
    let written: Written;
    let applied: Applied;
    try {
      written = await write(apply, entries, pieces, pool, options);
      applied = await apply.done.catch((error: unknown) => {
        throw explained(error);
      });
    } catch (error) {
      pieces.end(error);
      apply.kill();
      const [refusal] = await Promise.all([refusalOf(apply), refusalOf({ done: blob })]);
      signal?.throwIfAborted();
      throw isBrokenPipe(error) ? explained(refusal ?? error) : error;
    } finally {
      signal?.removeEventListener("abort", abort);
    }
    const { diffID, tarSize } = written;
    const chainID = chainOn(parent.chainID, diffID);
    const meta = { diffID, chainID, size: tarSize, entries: written.entries };
    committed = await commit(layout, identity, staged, meta, applied.deferred);
    return { diffID, chainID, tarSize, mediaType: OCI_LAYER_GZIP, blob };
  } finally {
    // what cannot be removed stays as garbage: the reason of the failure must not be lost for it
    if (!committed) await removeTrees(engine, [staged.path], identity).catch(() => {});
    staged.release();
  }
}

/** False: another process was first with the same layer. */
async function commit(
  layout: StoreLayout,
  { key }: Identity,
  staged: Staged,
  meta: Parameters<typeof commitLayer>[3],
  deferred: object[],
): Promise<boolean> {
  const held = await lock(layout.lock(`layer-${key}-${meta.chainID.slice(7)}`));
  try {
    if (hasLayer(layout, key, meta.chainID)) return false;
    commitLayer(layout, key, staged, meta, deferred);
    return true;
  } finally {
    unlock(held);
  }
}

interface Written {
  diffID: Digest;
  tarSize: number;
  entries: number;
}

/** The same records to the helper, which makes files of them, and into the tar. */
async function write(
  apply: Applying & { sink: Parameters<typeof writableSink>[0] },
  entries: Entries,
  pieces: Channel<Buffer>,
  pool: PiecePool,
  { sourceDateEpoch: epoch = Number.POSITIVE_INFINITY, signal }: MakeLayerOptions,
): Promise<Written> {
  const batch = new Batch(writableSink(apply.sink));
  const tar = new TarPieces(pieces, pool);
  let count = 0;
  const flush = async () => {
    try {
      await batch.flush();
    } catch (error) {
      // why the helper reads no more it says itself
      await apply.done.catch((reason: unknown) => {
        throw explained(reason);
      });
      throw error;
    }
  };
  const add = async (entry: OutgoingEntry) => {
    signal?.throwIfAborted();
    count++;
    const limited = clamped(entry, epoch);
    if (batch.add(tar.record(limited), false)) await flush();
    let length = 0;
    for await (const chunk of entry.content ?? []) {
      length += chunk.length;
      tar.content(chunk);
      if (batch.add(chunk, true)) await flush();
      if (tar.isFull) await tar.flush();
    }
    tar.endOfFile(limited, length);
    if (tar.isFull) await tar.flush();
  };
  /** Without a wait where there is nothing to wait for; true: flush. */
  const addAtOnce = (entry: OutgoingEntry, content: Iterable<Uint8Array>): boolean => {
    count++;
    const limited = clamped(entry, epoch);
    let full = batch.add(tar.record(limited), false);
    let length = 0;
    for (const chunk of content) {
      length += chunk.length;
      tar.content(chunk);
      full = batch.add(chunk, true) || full;
    }
    tar.endOfFile(limited, length);
    return full || tar.isFull;
  };
  const addGroup = async (group: EntryGroup) => {
    if (!(Symbol.iterator in group)) {
      for await (const entry of group) await add(entry);
      return;
    }
    for (const entry of group) {
      const { content = [] } = entry;
      if (!(Symbol.iterator in content) || entry.record.size > SMALL) await add(entry);
      else if (addAtOnce(entry, content)) {
        signal?.throwIfAborted();
        await flush();
        await tar.flush();
      }
    }
  };
  if (Symbol.iterator in entries) await addGroup(entries);
  else {
    for await (const one of entries) await ("record" in one ? add(one) : addGroup(one));
  }
  batch.add(tar.end(), false);
  const tarSize = await tar.finish();
  await flush();
  apply.sink.end();
  return { diffID: tar.diffID, tarSize, entries: count };
}

/** Content up to this length is passed on without a look at who is behind. */
const SMALL = 256 << 10;
const BLOCK = 512;
const ZEROS = new Uint8Array(BLOCK);

/** A tar in pieces of one size, as the compressor likes them: what it makes then depends on the bytes alone. */
class TarPieces {
  readonly #out: Channel<Buffer>;
  readonly #pool: PiecePool;
  readonly #writer = rawTarWriter();
  readonly #hash = createHash("sha256");
  readonly #full: Buffer[] = [];
  #piece: Buffer;
  #used = 0;
  #size = 0;

  constructor(out: Channel<Buffer>, pool: PiecePool) {
    this.#out = out;
    this.#pool = pool;
    this.#piece = pool.take();
  }

  get isFull(): boolean {
    return this.#full.length > 0;
  }

  /** Returns the record's bytes. */
  record({ record }: OutgoingEntry): Uint8Array {
    const bytes = encodeRecord(record);
    checkLayerName(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
    return this.#header(bytes);
  }

  content(chunk: Uint8Array): void {
    this.#put(chunk);
  }

  /** Zeros up to a whole block. */
  endOfFile({ record }: OutgoingEntry, length: number): void {
    const expected = record.kind === RecordKind.FILE ? record.size : 0;
    if (length !== expected) {
      throw new RangeError(`the content of an entry has ${length} bytes, its record says ${expected}`);
    }
    if (length % BLOCK !== 0) this.#put(ZEROS.subarray(length % BLOCK));
  }

  end(): Uint8Array {
    return this.#header(encodeRecord(layerRecord(RecordKind.END)));
  }

  /** Hands on what is complete; waits while the compressor is behind. */
  async flush(): Promise<void> {
    for (const piece of this.#full.splice(0)) await this.#out.push(piece);
  }

  async finish(): Promise<number> {
    await this.flush();
    if (this.#used > 0) {
      const last = this.#piece.subarray(0, this.#used);
      this.#hash.update(last);
      await this.#out.push(last);
    }
    this.#out.end();
    return this.#size;
  }

  get diffID(): Digest {
    return `sha256:${this.#hash.digest("hex")}`;
  }

  #header(bytes: Uint8Array): Uint8Array {
    this.#writer.record.set(bytes);
    this.#put(this.#writer.header(bytes.length));
    return bytes;
  }

  #put(bytes: Uint8Array): void {
    this.#size += bytes.length;
    for (let from = 0; from < bytes.length; ) {
      const count = Math.min(PIECE - this.#used, bytes.length - from);
      this.#piece.set(count === bytes.length ? bytes : bytes.subarray(from, from + count), this.#used);
      this.#used += count;
      from += count;
      if (this.#used < PIECE) continue;
      this.#hash.update(this.#piece);
      this.#full.push(this.#piece);
      this.#piece = this.#pool.take();
      this.#used = 0;
    }
  }
}

function clamped(entry: OutgoingEntry, epoch: number): OutgoingEntry {
  const late = entry.record.mtimeSeconds >= epoch;
  return late ? { ...entry, record: { ...entry.record, mtimeSeconds: epoch, mtimeNanoseconds: 0 } } : entry;
}
