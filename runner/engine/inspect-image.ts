import { familiarRepository, parseReference } from "../oci/reference.ts";
import { refName, SERVED_DIGEST } from "../store/image-index.ts";
import type { Engine } from "./engine.ts";
import { imageNames, layerSizes } from "./images.ts";
import { getImage, type StoredImage } from "./stored-image.ts";

/** An image in the shape that `docker image inspect` prints. */
export async function inspectImage(engine: Engine, word: string): Promise<object> {
  const image = getImage(engine, word);
  const { config } = image;
  return {
    Id: image.id,
    RepoTags: imageNames(image).filter((name) => !name.includes("@")),
    RepoDigests: repoDigests(image),
    Parent: "",
    Comment: config.history?.at(-1)?.comment ?? "",
    Created: config.created ?? "",
    Author: config.author ?? "",
    Config: config.config ?? {},
    Architecture: config.architecture,
    ...(config.variant !== undefined && { Variant: config.variant }),
    Os: config.os,
    Size: layerSizes(engine, image).reduce((sum, size) => sum + size, 0),
    RootFS: { Type: "layers", Layers: config.rootfs.diff_ids },
    Digest: image.manifestDigest,
  };
}

/** Only what a registry served has one. */
function repoDigests(image: StoredImage): string[] {
  const digests = image.entries.flatMap((entry) => {
    const name = refName(entry);
    const served = entry.annotations?.[SERVED_DIGEST];
    return name === undefined || served === undefined ? [] : [`${familiarRepository(parseReference(name))}@${served}`];
  });
  return [...new Set(digests)];
}
