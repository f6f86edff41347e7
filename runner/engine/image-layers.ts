import { TsboxError, visible } from "../base/error.ts";
import { isConfigType, isLayerType } from "../oci/media-types.ts";
import type { Descriptor, ImageConfig, Manifest } from "../oci/types.ts";

/** Registries hold charts, signatures and much else in manifests: what is no image is told by its kind, before any of it is fetched. */
export function checkIsImage(manifest: Manifest, what: string): void {
  const { mediaType } = manifest.config;
  // the oldest of Docker's images have a config of no particular type
  if (mediaType === undefined || mediaType === "application/octet-stream" || isConfigType(mediaType)) return;
  throw new TsboxError(`Cannot use ${what}: it is "${visible(manifest.artifactType ?? mediaType)}", not an image`, {
    code: "NOT_AN_IMAGE",
    hint: "it is an artifact of another kind, and has no root filesystem to run",
  });
}

/** What a manifest has beside its config, if all of it is filesystem layers. */
export function layersOf(manifest: Manifest): Descriptor[] {
  const foreign = manifest.layers.find((layer) => !isLayerType(layer.mediaType));
  if (foreign) {
    throw new TsboxError(
      `Cannot unpack image: ${foreign.digest} is "${visible(foreign.mediaType)}", not a filesystem layer`,
      {
        code: "NOT_AN_IMAGE",
        hint: "it is an artifact of another kind, not an image to run",
      },
    );
  }
  return manifest.layers;
}

/** The filesystem layers of a manifest, one for each diffID of the config. */
export function layerDescriptors(manifest: Manifest, config: ImageConfig): Descriptor[] {
  const layers = layersOf(manifest);
  const expected = config.rootfs.diff_ids.length;
  if (layers.length !== expected) {
    throw new TsboxError(`Cannot unpack image: the manifest has ${layers.length} layers, the config ${expected}`, {
      code: "INVALID_IMAGE",
    });
  }
  return layers;
}
