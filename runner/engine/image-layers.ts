import { TsboxError } from "../base/error.ts";
import { isLayerType } from "../oci/media-types.ts";
import type { Descriptor, ImageConfig, Manifest } from "../oci/types.ts";

/** The filesystem layers of a manifest, one for each diffID of the config. */
export function layerDescriptors(manifest: Manifest, config: ImageConfig): Descriptor[] {
  const foreign = manifest.layers.find((layer) => !isLayerType(layer.mediaType));
  if (foreign) {
    throw new TsboxError(`Cannot unpack image: ${foreign.digest} is "${foreign.mediaType}", not a filesystem layer`, {
      code: "NOT_AN_IMAGE",
      hint: "it is an artifact of another kind, not an image to run",
    });
  }
  const expected = config.rootfs.diff_ids.length;
  if (manifest.layers.length !== expected) {
    throw new TsboxError(
      `Cannot unpack image: the manifest has ${manifest.layers.length} layers, the config ${expected}`,
      {
        code: "INVALID_IMAGE",
      },
    );
  }
  return manifest.layers;
}
