import { layerDescriptors } from "../engine/image-layers.ts";
import { chainIDs } from "../oci/chain.ts";
import { DOCKER_LAYER, DOCKER_LAYER_GZIP, OCI_LAYER, OCI_LAYER_GZIP } from "../oci/media-types.ts";
import type { Digest } from "../oci/types.ts";
import { stepKey } from "../store/build-cache.ts";
import type { LayoutImage } from "./context/oci-layout.ts";
import type { StageState } from "./stage-builder.ts";

/** What a stage is that begins with an image. */
export function imageState(image: LayoutImage): StageState {
  const { config } = image;
  const descriptors = layerDescriptors(image.manifest, config);
  const chain = chainIDs(config.rootfs.diff_ids).at(-1);
  return {
    lowers: image.lowers,
    ...(chain && { chainID: chain }),
    config: config.config ?? {},
    image: {
      architecture: config.architecture,
      os: config.os,
      ...(config.variant !== undefined && { variant: config.variant }),
      ...(config.author !== undefined && { author: config.author }),
    },
    layers: descriptors.map(({ digest, size, mediaType }, number) => ({
      blob: { digest, size },
      mediaType: OCI_TYPES[mediaType] ?? mediaType,
      diffID: config.rootfs.diff_ids[number] as Digest,
    })),
    history: config.history ?? config.rootfs.diff_ids.map(() => ({})),
    key: stepKey({ from: image.id }),
    steps: [],
    created: config.created ?? new Date(0).toISOString(),
  };
}

const OCI_TYPES: Record<string, string> = { [DOCKER_LAYER_GZIP]: OCI_LAYER_GZIP, [DOCKER_LAYER]: OCI_LAYER };
