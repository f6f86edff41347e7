import { TsboxError } from "../base/error.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { ImageConfig } from "../oci/types.ts";
import type { Engine } from "./engine.ts";
import { getImage } from "./stored-image.ts";

/** Tells of a container whether its image is one that a word names, or was made from it: the same layers and steps, and perhaps more. */
export function descendsFrom(engine: Engine, word: string): (record: ContainerRecord) => boolean {
  const ancestor = configOf(engine, word);
  const known = new Map<string, boolean>();
  return ({ imageID }) => {
    if (ancestor === undefined || imageID === "") return false;
    const found = known.get(imageID) ?? extend(ancestor, configOf(engine, imageID));
    known.set(imageID, found);
    return found;
  };
}

function configOf(engine: Engine, word: string): ImageConfig | undefined {
  try {
    return getImage(engine, word).config;
  } catch (error) {
    // one that is gone, or a word that names none
    if (error instanceof TsboxError) return undefined;
    throw error;
  }
}

function extend(ancestor: ImageConfig, image: ImageConfig | undefined): boolean {
  if (image === undefined) return false;
  const layers = image.rootfs.diff_ids;
  const steps = (config: ImageConfig) => (config.history ?? []).map(({ created_by = "" }) => created_by);
  const [own, others] = [steps(ancestor), steps(image)];
  return (
    ancestor.rootfs.diff_ids.every((id, i) => layers[i] === id) &&
    own.every((step, i) => others[i] === step) &&
    (layers.length > ancestor.rootfs.diff_ids.length || others.length > own.length)
  );
}
