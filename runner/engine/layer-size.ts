import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { LayerMeta } from "../store/layer-store.ts";

/** Bytes of an unpacked layer, as its tar had them; 0 when that is not known. */
export function layerSize(folder: string): number {
  try {
    return (JSON.parse(readFileSync(join(folder, "meta.json"), "utf8")) as LayerMeta).size;
  } catch {
    return 0;
  }
}
