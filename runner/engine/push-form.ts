import { createHash } from "node:crypto";
import { open } from "node:fs/promises";
import { decompress } from "../layers/decompress.ts";
import { gzipPieces } from "../layers/gzip.ts";
import { inPieces } from "../layers/pieces.ts";
import { convertManifest, gzipType, isNoGzip, type ManifestFormat } from "../oci/convert-manifest.ts";
import { digestOf } from "../oci/digest-of.ts";
import type { Descriptor, Digest, Manifest } from "../oci/types.ts";
import { blobStream } from "../store/blob-store.ts";
import { readBlob } from "../store/blobs.ts";
import type { StoreLayout } from "../store/layout.ts";
import { type Staged, stagingFile } from "../store/staging.ts";
import type { StoredImage } from "./stored-image.ts";
import { writeChunks } from "./write-chunks.ts";

export interface PushFormOptions {
  /** Absent: the image's own. */
  format?: ManifestFormat;
  /** Compress so the layers that are not, or by zstd; without it they stay as they are. */
  compression?: "gzip";
  signal?: AbortSignal;
}

/** An image in the form in which a registry gets it. */
export interface PushForm {
  mediaType: string;
  digest: Digest;
  bytes: Buffer;
  manifest: Manifest;
  /** The file of a blob. */
  file(digest: Digest): string;
  /** Removes what was made for this push alone. */
  release(): void;
}

/** As the store has it, byte for byte, unless another form was asked for. */
export async function pushForm(
  layout: StoreLayout,
  image: StoredImage,
  { format, compression, signal }: PushFormOptions,
): Promise<PushForm> {
  const { mediaType } = image.entries[0] as Descriptor;
  const staged = new Map<Digest, Staged>();
  const release = () => {
    for (const one of staged.values()) one.release();
  };
  let manifest = image.manifest;
  try {
    if (compression === "gzip") {
      const layers: Descriptor[] = [];
      for (const layer of manifest.layers) {
        layers.push(isNoGzip(layer.mediaType) ? await compressed(layout, layer, staged, signal) : layer);
      }
      if (staged.size > 0) manifest = { ...manifest, layers };
    }
    if (format !== undefined) {
      const converted = convertManifest(manifest, format);
      if (converted.mediaType !== mediaType) manifest = converted;
    }
  } catch (error) {
    release();
    throw error;
  }
  const same = manifest === image.manifest;
  const bytes = same ? readBlob(layout, image.manifestDigest) : Buffer.from(JSON.stringify(manifest));
  return {
    mediaType: same ? mediaType : (manifest.mediaType ?? mediaType),
    digest: same ? image.manifestDigest : digestOf(bytes),
    bytes,
    manifest,
    file: (digest) => staged.get(digest)?.path ?? layout.blob(digest),
    release,
  };
}

/** The layer in a file of its own, which is gone after the push. */
async function compressed(
  layout: StoreLayout,
  layer: Descriptor,
  staged: Map<Digest, Staged>,
  signal: AbortSignal | undefined,
): Promise<Descriptor> {
  const file = stagingFile(layout);
  const hash = createHash("sha256");
  let size = 0;
  try {
    const handle = await open(file.path, "wx", 0o600);
    try {
      await writeChunks(handle, counted(), signal);
    } finally {
      await handle.close();
    }
  } catch (error) {
    file.release();
    throw error;
  }
  async function* counted(): AsyncGenerator<Uint8Array> {
    for await (const chunk of gzipPieces(inPieces(decompress(blobStream(layout, layer.digest))))) {
      hash.update(chunk);
      size += chunk.length;
      yield chunk;
    }
  }
  const digest: Digest = `sha256:${hash.digest("hex")}`;
  // the same layer twice is one file
  if (staged.has(digest)) file.release();
  else staged.set(digest, file);
  return { ...layer, mediaType: gzipType(layer.mediaType), digest, size };
}
