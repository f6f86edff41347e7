import { createHash } from "node:crypto";
import { closeSync, openSync, readSync } from "node:fs";
import { TsboxError } from "../base/error.ts";
import { decompress, sniff } from "../layers/decompress.ts";
import { chainIDs } from "../oci/chain.ts";
import { digestOf } from "../oci/digest-of.ts";
import { DOCKER_CONFIG, DOCKER_LAYER_GZIP, DOCKER_MANIFEST, OCI_LAYER, OCI_LAYER_GZIP } from "../oci/media-types.ts";
import type { Descriptor, Digest, Manifest } from "../oci/types.ts";
import { blobStream } from "../store/blob-store.ts";
import { readBlob } from "../store/blobs.ts";
import { hasLayer, layerMeta } from "../store/layer-store.ts";
import { type StoreLayout, storeLayout } from "../store/layout.ts";
import type { Engine } from "./engine.ts";
import type { StoredImage } from "./stored-image.ts";

/** Bytes to be written, and what they are. `open` may be called once; it fails when they are not what the digest says. */
export interface SavedBlob {
  mediaType: string;
  digest: Digest;
  size: number;
  open(): AsyncIterable<Uint8Array>;
}

/** An image in the form it is written in. */
export interface SavedImage {
  id: Digest;
  /** In full, as the store has them. */
  names: string[];
  manifest: { mediaType: string; digest: Digest; bytes: Buffer };
  config: SavedBlob;
  layers: SavedBlob[];
}

const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";

/** As it is stored: no byte of it is changed, so that its digests stay. */
export function asStored(engine: Engine, image: StoredImage, names: string[]): SavedImage {
  const layout = storeLayout(engine.root);
  const stored = (descriptor: Descriptor): SavedBlob => ({
    mediaType: descriptor.mediaType,
    digest: descriptor.digest,
    size: descriptor.size,
    open: () => verified(blobStream(layout, descriptor.digest), descriptor.digest),
  });
  const { mediaType } = image.entries[0] as Descriptor;
  return {
    id: image.id,
    names,
    manifest: { mediaType, digest: image.manifestDigest, bytes: readBlob(layout, image.manifestDigest) },
    config: stored(image.manifest.config),
    layers: image.manifest.layers.map(stored),
  };
}

/** The layers as plain tars. The manifest, and its digest with it, become others; the image's id stays. */
export async function uncompressed(
  engine: Engine,
  image: StoredImage,
  saved: SavedImage,
  which: (layer: SavedBlob) => boolean = () => true,
): Promise<SavedImage> {
  const layout = storeLayout(engine.root);
  const chain = chainIDs(image.config.rootfs.diff_ids);
  const layers: SavedBlob[] = [];
  for (const [number, layer] of saved.layers.entries()) {
    if (compressionOf(layout, layer.digest) === "none" || !which(layer)) {
      layers.push(layer);
      continue;
    }
    const diffID = image.config.rootfs.diff_ids[number] as Digest;
    const plain = () => decompress(blobStream(layout, layer.digest));
    layers.push({
      mediaType: layer.mediaType.startsWith("application/vnd.docker.") ? DOCKER_LAYER : OCI_LAYER,
      digest: diffID,
      size: unpackedSize(engine, chain[number] as Digest) ?? (await length(plain())),
      open: () => verified(plain(), diffID),
    });
  }
  return withManifest(saved, image.manifest, { layers });
}

/** With a manifest of Docker's schema 2, which knows no zstd: the form of `dir:` folders that every old tool reads. */
export async function asDocker(engine: Engine, image: StoredImage, saved: SavedImage): Promise<SavedImage> {
  if (saved.manifest.mediaType === DOCKER_MANIFEST) return saved;
  const layout = storeLayout(engine.root);
  const isZstd = (layer: SavedBlob) => compressionOf(layout, layer.digest) === "zstd";
  const plain = await uncompressed(engine, image, saved, isZstd);
  const types: Record<string, string> = { [OCI_LAYER_GZIP]: DOCKER_LAYER_GZIP, [OCI_LAYER]: DOCKER_LAYER };
  const layers = plain.layers.map((layer) => ({ ...layer, mediaType: types[layer.mediaType] ?? layer.mediaType }));
  const config = { ...saved.config, mediaType: DOCKER_CONFIG };
  return withManifest(saved, { schemaVersion: 2 } as Manifest, { layers, config, mediaType: DOCKER_MANIFEST });
}

/** The same image with other layers (or another config's type), in a manifest of its own. */
export function withManifest(
  saved: SavedImage,
  manifest: Manifest,
  change: { layers: SavedBlob[]; config?: SavedBlob; mediaType?: string },
): SavedImage {
  const config = change.config ?? saved.config;
  const mediaType = change.mediaType ?? saved.manifest.mediaType;
  const describe = ({ mediaType, digest, size }: SavedBlob): Descriptor => ({ mediaType, digest, size });
  const bytes = Buffer.from(
    JSON.stringify({ ...manifest, mediaType, config: describe(config), layers: change.layers.map(describe) }),
  );
  return { ...saved, config, layers: change.layers, manifest: { mediaType, bytes, digest: digestOf(bytes) } };
}

function compressionOf(layout: StoreLayout, digest: Digest): "gzip" | "zstd" | "none" {
  const head = Buffer.alloc(8);
  const fd = openSync(layout.blob(digest), "r");
  try {
    return sniff(head.subarray(0, readSync(fd, head)));
  } finally {
    closeSync(fd);
  }
}

function unpackedSize(engine: Engine, chainID: Digest): number | undefined {
  const layout = storeLayout(engine.root);
  const { key } = engine.identity();
  return hasLayer(layout, key, chainID) ? layerMeta(layout, key, chainID).size : undefined;
}

async function length(source: AsyncIterable<Uint8Array>): Promise<number> {
  let size = 0;
  for await (const chunk of source) size += chunk.length;
  return size;
}

/** A copy is only as good as its source: what the store has damaged is not passed on. */
async function* verified(source: AsyncIterable<Uint8Array>, digest: Digest): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
  const got = `sha256:${hash.digest("hex")}`;
  if (got === digest) return;
  throw new TsboxError(`Cannot save blob ${digest}: the store's copy has ${got}`, {
    code: "DIGEST_MISMATCH",
    hint: 'the store is damaged: "tsbox system check --repair" fetches the blob again',
  });
}
