import type { HistoryEntry } from "../oci/types.ts";
import type { Engine } from "./engine.ts";
import { layerSizes } from "./images.ts";
import { getImage } from "./stored-image.ts";

export interface ImageHistoryEntry {
  /** The image's own id for its newest entry; older ones have none. */
  id?: string;
  created?: string;
  createdBy: string;
  /** Bytes that the step's layer added. */
  size: number;
  comment: string;
}

/** How an image was made, newest step first. Images that say nothing have one entry for each layer. */
export async function history(engine: Engine, word: string): Promise<ImageHistoryEntry[]> {
  const image = getImage(engine, word);
  const sizes = layerSizes(engine, image);
  const steps: HistoryEntry[] = image.config.history ?? sizes.map(() => ({}));
  let layer = 0;
  const entries = steps.map((step) => ({
    ...(step.created !== undefined && { created: step.created }),
    createdBy: step.created_by ?? "",
    size: step.empty_layer ? 0 : (sizes[layer++] ?? 0),
    comment: step.comment ?? "",
  }));
  return entries.reverse().map((entry, number) => (number === 0 ? { id: image.id, ...entry } : entry));
}
