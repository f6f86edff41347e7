/** `--volumes-from CONTAINER[:ro]`, and what becomes of an image's volumes. */

import type { ImageVolumes } from "../../engine/run-options.ts";
import { UsageError } from "../usage-error.ts";

export function parseVolumesFrom(text: string): { container: string; readOnly: boolean } {
  const [container = "", options = "", ...more] = text.split(":");
  const words = options.split(",").filter((word) => word !== "");
  const unknown = words.find((word) => !["ro", "rw", "z", "Z"].includes(word));
  if (container === "" || more.length > 0 || unknown !== undefined) {
    throw new UsageError("expected CONTAINER[:ro]");
  }
  return { container, readOnly: words.includes("ro") };
}

/** `bind` is podman's older word. */
export function parseImageVolume(text: string): ImageVolumes {
  if (text === "anonymous" || text === "bind") return "anonymous";
  if (text === "tmpfs" || text === "ignore") return text;
  throw new UsageError("expected anonymous, tmpfs or ignore");
}
