import { createHash } from "node:crypto";
import { gzipPieces, looksRandom } from "../layers/gzip.ts";
import { inPieces, PIECE, type PiecePool } from "../layers/pieces.ts";
import { OCI_LAYER, OCI_LAYER_GZIP } from "../oci/media-types.ts";
import type { Digest } from "../oci/types.ts";
import { blobStream } from "../store/blob-store.ts";
import type { Inbox } from "../store/inbox.ts";

export interface KeptLayer {
  diffID: Digest;
  digest: Digest;
  size: number;
  mediaType: string;
}

/**
 * Keeps a layer's tar as a blob: by gzip; or as it is, where all of it is as good as random (a database's files, media, archives), because compressing
 * would cost whoever makes, pushes, pulls and unpacks it time, and win nothing. That is taken for granted until a piece shows otherwise; then what was
 * kept so far is read again.
 */
export async function keepLayer(inbox: Inbox, tar: AsyncIterable<Buffer>, pool: PiecePool): Promise<KeptLayer> {
  const pieces = tar[Symbol.asyncIterator]();
  let next = await pieces.next();
  const isPlain = () => !next.done && (next.value.length < PIECE || looksRandom(next.value));
  async function* plain(): AsyncGenerator<Buffer> {
    while (isPlain()) {
      yield next.value;
      pool.give(next.value);
      next = await pieces.next();
    }
  }
  try {
    // a small layer is one short piece, and goes the common way
    const random = !next.done && next.value.length === PIECE && isPlain();
    const start = random ? await inbox.receive(plain()) : undefined;
    if (start && next.done) return { ...start, diffID: start.digest, mediaType: OCI_LAYER };
    const hash = createHash("sha256");
    async function* all(): AsyncGenerator<Buffer> {
      if (start) yield* inPieces(blobStream(inbox.layout, start.digest), pool);
      for (; !next.done; next = await pieces.next()) yield next.value;
    }
    async function* hashed(): AsyncGenerator<Buffer> {
      for await (const piece of all()) {
        hash.update(piece);
        yield piece;
      }
    }
    const blob = await inbox.receive(gzipPieces(hashed(), pool));
    return { ...blob, diffID: `sha256:${hash.digest("hex")}`, mediaType: OCI_LAYER_GZIP };
  } finally {
    await pieces.return?.(undefined);
  }
}
