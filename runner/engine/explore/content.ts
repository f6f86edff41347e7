import { RecordKind } from "../../layers/abi.ts";
import { decompress } from "../../layers/decompress.ts";
import { readEntries } from "../../layers/reader.ts";
import { blobStream } from "../../store/blob-store.ts";
import { storeLayout } from "../../store/layout.ts";
import type { Engine } from "../engine.ts";
import type { Exploration } from "./explore.ts";
import { bytePath } from "./names.ts";
import type { Content } from "./stack.ts";

/** The bytes of files, each layer read once and only as far as needed. What is larger than the limit is left out. */
export async function readContents(
  engine: Engine,
  { layers }: Exploration,
  wanted: Iterable<Content>,
  limit: number,
): Promise<Map<Content, Buffer>> {
  const found = new Map<Content, Buffer>();
  const byLayer = new Map<number, Map<string, Content[]>>();
  for (const content of wanted) {
    if (content.size > limit) continue;
    const paths = byLayer.get(content.layer) ?? new Map<string, Content[]>();
    const same = paths.get(content.path) ?? [];
    if (!same.includes(content)) paths.set(content.path, [...same, content]);
    byLayer.set(content.layer, paths);
  }
  const layout = storeLayout(engine.root);
  for (const [number, paths] of byLayer) {
    const blob = layers[number]?.blob;
    if (!blob) continue;
    let left = [...paths.values()].reduce((sum, list) => sum + list.length, 0);
    const seen = new Map<string, number>();
    for await (const { record, content } of readEntries(decompress(blobStream(layout, blob.digest)), {
      whiteouts: true,
    })) {
      if (record.kind === RecordKind.WHITEOUT || record.kind === RecordKind.OPAQUE) continue;
      const path = bytePath(record.path)
        .replace(/^(\.?\/)+/, "")
        .replace(/\/+$/, "");
      const list = paths.get(path);
      if (!list) continue;
      const occurrence = seen.get(path) ?? 0;
      seen.set(path, occurrence + 1);
      const match = list.find((one) => one.occurrence === occurrence);
      if (!match || record.kind !== RecordKind.FILE) continue;
      const chunks: Uint8Array[] = [];
      for await (const chunk of content) chunks.push(Uint8Array.from(chunk));
      found.set(match, Buffer.concat(chunks));
      if (--left === 0) break;
    }
  }
  return found;
}
