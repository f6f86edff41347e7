import { TsboxError, visible } from "../base/error.ts";
import {
  DOCKER_CONFIG,
  DOCKER_LAYER_GZIP,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
} from "./media-types.ts";
import type { Manifest } from "./types.ts";

/** OCI's form of an image, or Docker's second schema. */
export type ManifestFormat = "oci" | "v2s2";

const DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar";

/** Each type of blob under its two names. */
const PAIRS: readonly (readonly [oci: string, docker: string])[] = [
  [OCI_CONFIG, DOCKER_CONFIG],
  [OCI_LAYER, DOCKER_LAYER],
  [OCI_LAYER_GZIP, DOCKER_LAYER_GZIP],
  [
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
  ],
];

/** The same image, its blobs untouched, in the other form of manifest. */
export function convertManifest(manifest: Manifest, format: ManifestFormat): Manifest {
  const named = (mediaType: string): string => {
    const pair = PAIRS.find((one) => one.includes(mediaType));
    const found = pair?.[format === "oci" ? 0 : 1];
    if (found !== undefined) return found;
    if (format === "oci") return mediaType;
    throw new TsboxError(`Cannot convert image to v2s2: it has no form of "${visible(mediaType)}"`, {
      code: "NO_CONVERSION",
      hint: "push it as it is, without --format, or with --compression-format gzip",
      exitCode: 1,
    });
  };
  const { annotations, config, layers } = manifest;
  return {
    schemaVersion: 2,
    mediaType: format === "oci" ? OCI_MANIFEST : DOCKER_MANIFEST,
    config: { ...config, mediaType: named(config.mediaType) },
    layers: layers.map((layer) => ({ ...layer, mediaType: named(layer.mediaType) })),
    // Docker's form has none
    ...(format === "oci" && annotations && { annotations }),
  };
}

/** A layer that is not compressed by gzip, by its type, but could be. */
export function isNoGzip(mediaType: string): boolean {
  return mediaType === OCI_LAYER || mediaType === DOCKER_LAYER || mediaType === OCI_LAYER_ZSTD;
}

/** The name of the same layer once gzip has compressed it. */
export function gzipType(mediaType: string): string {
  return mediaType === DOCKER_LAYER ? DOCKER_LAYER_GZIP : OCI_LAYER_GZIP;
}
