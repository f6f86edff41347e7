import type { Engine } from "../engine/engine.ts";
import { unpackOne } from "../engine/unpack-image.ts";
import { gzipPieces } from "../layers/gzip.ts";
import { PIECE } from "../layers/pieces.ts";
import { type OutgoingEntry, writeArchive } from "../layers/writer.ts";
import { OCI_LAYER_GZIP } from "../oci/media-types.ts";
import type { Digest } from "../oci/types.ts";
import type { Identity } from "../plan/idmap.ts";
import { putBlobStream } from "../store/blob-store.ts";
import type { BuiltLayer } from "../store/build-cache.ts";
import { layerMeta } from "../store/layer-store.ts";
import { storeLayout } from "../store/layout.ts";
import { Channel } from "./channel.ts";
import { chainOn, type ParentTree } from "./parent-tree.ts";

export interface MakeLayerOptions {
  /** Seconds since 1970: no time in the layer is later. */
  sourceDateEpoch?: number;
  signal?: AbortSignal;
}

/**
 * Makes a layer of entries: one pass gives its tar's digest, its compressed blob and its unpacked tree. The same entries give the same bytes.
 */
export async function makeLayer(
  engine: Engine,
  identity: Identity,
  parent: ParentTree,
  entries: Iterable<OutgoingEntry> | AsyncIterable<OutgoingEntry>,
  options: MakeLayerOptions = {},
): Promise<BuiltLayer> {
  const { sourceDateEpoch = Number.POSITIVE_INFINITY, signal } = options;
  const layout = storeLayout(engine.root);
  const channel = new Channel<Buffer>(4);
  const blob = putBlobStream(layout, gzipPieces(channel));
  blob.catch(() => {}); // told below
  // of several failures that of the entries is the first: the helper then only misses the rest
  let failed: { error: unknown } | undefined;
  async function* tar(): AsyncGenerator<Buffer> {
    try {
      for await (const piece of inPieces(writeArchive(clamped(entries, sourceDateEpoch)))) {
        await channel.push(piece);
        yield piece;
      }
      channel.end();
    } catch (error) {
      failed = { error };
      channel.end(error);
      throw error;
    }
  }
  let diffID: Digest;
  try {
    diffID = await unpackOne(engine, identity, tar(), parent.lowers, {
      ...(parent.chainID && { parent: parent.chainID }),
      ...(signal && { signal }),
    });
  } catch (error) {
    channel.end(error);
    await blob.catch(() => {});
    throw failed ? failed.error : error;
  }
  const { digest, size } = await blob;
  const chainID = chainOn(parent.chainID, diffID);
  const tarSize = layerMeta(layout, identity.key, chainID).size;
  return { diffID, digest, size, mediaType: OCI_LAYER_GZIP, tarSize, chainID };
}

async function* clamped(entries: Iterable<OutgoingEntry> | AsyncIterable<OutgoingEntry>, epoch: number) {
  for await (const entry of entries) {
    const late = entry.record.mtimeSeconds >= epoch;
    yield late ? { ...entry, record: { ...entry.record, mtimeSeconds: epoch, mtimeNanoseconds: 0 } } : entry;
  }
}

/** The same bytes in pieces of one size, as the compressor likes them: what it makes then depends on the bytes alone. */
async function* inPieces(source: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let piece = Buffer.allocUnsafeSlow(PIECE);
  let used = 0;
  for await (const chunk of source) {
    for (let from = 0; from < chunk.length; ) {
      const count = Math.min(PIECE - used, chunk.length - from);
      piece.set(chunk.subarray(from, from + count), used);
      used += count;
      from += count;
      if (used < PIECE) continue;
      yield piece;
      piece = Buffer.allocUnsafeSlow(PIECE);
      used = 0;
    }
  }
  if (used > 0) yield piece.subarray(0, used);
}
