import { createHash } from "node:crypto";
import type { Writable } from "node:stream";
import { TsboxError } from "../base/error.ts";
import type { RecordSink } from "./batch.ts";
import { decompress } from "./decompress.ts";
import { type ByteSource, recordStream } from "./reader.ts";

export interface UnpackLayerOptions {
  /** The layer as the registry gives it. Its own digest is the source's business. */
  source: ByteSource;
  /** If given, it must be a layer's. How the layer is compressed is read from its bytes. */
  mediaType?: string;
  /** Where the records go: the helper's apply. Not ended here. */
  sink: Writable | RecordSink;
  /** The image config's word on the uncompressed tar, "sha256:…". */
  diffID?: string;
  /** The source is uncompressed, and whoever received it has seen that it has this diffID: it is not hashed again. */
  verified?: boolean;
  /** False: an archive in which names of whiteouts are just names. */
  whiteouts?: boolean;
}

export interface UnpackedLayer {
  diffID: string;
  /** Bytes of the uncompressed tar. */
  size: number;
  /** Records, without SEGMENT and END. */
  entries: number;
}

/** The content is not what its digest says. */
export class DigestMismatch extends TsboxError {
  override readonly name = "DigestMismatch";
  readonly got: string;
  readonly want: string;

  constructor(got: string, want: string) {
    super(`Cannot unpack layer: its diffID is ${got}, expected ${want}`, { code: "DIGEST_MISMATCH" });
    this.got = got;
    this.want = want;
  }
}

const LAYER_TYPE = /[.+]tar([.+](gzip|zstd))?$/;

/** What unpackTar() needs: a layer that is decompressed already. */
export interface UnpackTarOptions extends Pick<UnpackLayerOptions, "sink" | "diffID" | "verified" | "whiteouts"> {
  tar: ByteSource;
}

/**
 * A layer → records. Verified as it passes: the stream gets its END only when the whole source was read and the diffID is right, so that whoever applies
 * it knows an incomplete one. All on this thread but zlib; what lies in a file is unpacked faster by an UnpackWorker.
 */
export async function unpackLayer(options: UnpackLayerOptions): Promise<UnpackedLayer> {
  const { mediaType } = options;
  if (mediaType !== undefined && !LAYER_TYPE.test(mediaType)) {
    throw new TsboxError(`Cannot unpack layer: its media type is "${mediaType}", expected a tar`, {
      code: "UNSUPPORTED_MEDIA_TYPE",
    });
  }
  return unpackTar({ ...options, tar: decompress(options.source) });
}

export async function unpackTar(options: UnpackTarOptions): Promise<UnpackedLayer> {
  const verified = options.verified === true && options.diffID !== undefined;
  const hash = createHash("sha256");
  let size = 0;
  let diffID = "";
  async function* hashed(): AsyncGenerator<Uint8Array> {
    for await (const chunk of options.tar) {
      if (!verified) hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  }
  const { entries } = await recordStream(hashed(), options.sink, {
    whiteouts: options.whiteouts ?? true,
    beforeEnd() {
      diffID = verified ? (options.diffID as string) : `sha256:${hash.digest("hex")}`;
      if (options.diffID !== undefined && options.diffID !== diffID) throw new DigestMismatch(diffID, options.diffID);
    },
  });
  return { diffID, size, entries };
}
