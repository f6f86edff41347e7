/** Images written byte by byte: OCI archives whose layers no tool would make, or that are damaged in one place. */
import { createHash } from "node:crypto";
import { archive, entry, header } from "../unit/layers/archives.ts";

export interface OciParts {
  /** Path in the archive → content. A test changes what it wants to be wrong. */
  files: Map<string, Buffer>;
  config: Descriptor;
  manifest: Descriptor;
  layers: Descriptor[];
}

export interface Descriptor {
  mediaType: string;
  digest: string;
  size: number;
}

export function sha256(bytes: Uint8Array): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

export const blobPath = (digest: string) => `blobs/${digest.replace(":", "/")}`;

/** An OCI layout with one image of these layers (uncompressed tars), under a name. `more`: further fields beside `config`. */
export function ociParts(layers: Buffer[], name: string, config: object = {}, more: object = {}): OciParts {
  const files = new Map<string, Buffer>();
  const put = (mediaType: string, bytes: Buffer): Descriptor => {
    const digest = sha256(bytes);
    files.set(blobPath(digest), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const putJson = (mediaType: string, value: object) => put(mediaType, Buffer.from(JSON.stringify(value)));
  const oci = "application/vnd.oci.image";
  const kept = layers.map((layer) => put(`${oci}.layer.v1.tar`, layer));
  const configBlob = putJson(`${oci}.config.v1+json`, {
    architecture: process.arch === "arm64" ? "arm64" : "amd64",
    os: "linux",
    config,
    ...more,
    rootfs: { type: "layers", diff_ids: kept.map(({ digest }) => digest) },
  });
  const mediaType = `${oci}.manifest.v1+json`;
  const manifest = putJson(mediaType, { schemaVersion: 2, mediaType, config: configBlob, layers: kept });
  const annotations = { "org.opencontainers.image.ref.name": name };
  files.set("index.json", Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [{ ...manifest, annotations }] })));
  files.set("oci-layout", Buffer.from('{"imageLayoutVersion":"1.0.0"}'));
  return { files, config: configBlob, manifest, layers: kept };
}

/** The files in one tar. */
export function tarOf(files: Iterable<[string, Buffer]>): Buffer {
  return archive(...[...files].map(([name, content]) => entry({ name }, content)));
}

export const folder = (name: string, mode = 0o755) => header({ name, type: "5", mode });
export const symlink = (name: string, link: string) => header({ name, type: "2", link, mode: 0o777 });
export const hardlink = (name: string, link: string) => header({ name, type: "1", link });
