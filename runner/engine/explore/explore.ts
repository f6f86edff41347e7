import { TsboxError, visible } from "../../base/error.ts";
import { formatPlatform } from "../../oci/platform.ts";
import type { Descriptor, Digest } from "../../oci/types.ts";
import type { Engine } from "../engine.ts";
import { layerDescriptors } from "../image-layers.ts";
import { imageNames } from "../images.ts";
import { getImage, type StoredImage } from "../stored-image.ts";
import { layerListing } from "./listing.ts";
import type { BytePath } from "./names.ts";
import { type Change, changesOf, type Stack, stackLayers } from "./stack.ts";

export interface ExploredLayer {
  /** From 1, bottom first. */
  number: number;
  diffID: Digest;
  blob: Descriptor;
  /** What made it, by the image's history; empty when that says nothing. */
  instruction: string;
  created: string;
  /** Bytes of its files. */
  bytes: number;
  files: number;
  changes: Change[];
}

/** The same bytes in more than one place. */
export interface Duplicate {
  digest: string;
  size: number;
  /** Bytes that one copy would save. */
  extra: number;
  places: { path: BytePath; layer: number }[];
}

export interface Exploration {
  image: StoredImage;
  name: string;
  platform: string;
  layers: ExploredLayer[];
  stack: Stack;
  /** 0 to 1. */
  efficiency: number;
  duplicates: Duplicate[];
}

/** Looks into every layer of an image of the store. */
export async function explore(engine: Engine, word: string, signal?: AbortSignal): Promise<Exploration> {
  const image = getImage(engine, word);
  const blobs = layerDescriptors(image.manifest, image.config);
  const diffIDs = image.config.rootfs.diff_ids;
  const listings = [];
  for (const [number, blob] of blobs.entries()) {
    signal?.throwIfAborted();
    listings.push(await layerListing(engine, blob, diffIDs[number] as Digest));
  }
  const stack = stackLayers(listings);
  const steps = (image.config.history ?? []).filter((step) => !step.empty_layer);
  const layers = stack.layers.map((layer, number): ExploredLayer => {
    // a history that does not fit the layers says nothing of any of them
    const step = steps.length === blobs.length ? steps[number] : undefined;
    return {
      number: number + 1,
      diffID: diffIDs[number] as Digest,
      blob: blobs[number] as Descriptor,
      instruction: instructionOf(step?.created_by ?? ""),
      created: step?.created ?? "",
      ...layer,
    };
  });
  return {
    image,
    name: imageNames(image)[0] ?? image.id,
    platform: formatPlatform(image.config),
    layers,
    stack,
    efficiency: stack.stored === 0 ? 1 : 1 - stack.wasted / stack.stored,
    duplicates: duplicatesOf(stack),
  };
}

/** As the person wrote it: without what docker and buildkit put around it. */
function instructionOf(text: string): string {
  return text
    .replace(/^\/bin\/sh -c #\(nop\)\s*/, "")
    .replace(/^(RUN )?\/bin\/sh -c /, "RUN ")
    .replace(/\s+# buildkit$/, "")
    .trim();
}

function duplicatesOf({ contents }: Stack): Duplicate[] {
  const groups = new Map<string, Duplicate>();
  for (const { digest, size, path, layer } of contents) {
    if (digest === "" || size === 0) continue;
    const group = groups.get(digest) ?? { digest, size, extra: -size, places: [] };
    group.extra += size;
    group.places.push({ path, layer });
    groups.set(digest, group);
  }
  return [...groups.values()]
    .filter(({ places }) => places.length > 1)
    .sort((a, b) => b.extra - a.extra || (a.digest < b.digest ? -1 : 1));
}

export interface BigFile {
  path: BytePath;
  size: number;
  layer: number;
}

/** Of what a container sees; a file of several names once. */
export function biggestFiles({ tree }: Stack, count: number): BigFile[] {
  const seen = new Set<object>();
  const files: BigFile[] = [];
  for (const [path, { kind, size, layer, content }] of tree) {
    if (kind !== "file" || size === 0 || (content && seen.has(content))) continue;
    if (content) seen.add(content);
    files.push({ path, size, layer });
  }
  return files.sort((a, b) => b.size - a.size || (a.path < b.path ? -1 : 1)).slice(0, count);
}

/** What a container of the second image sees that one of the first does not, and the other way round. */
export function compareImages(a: Exploration, b: Exploration): { changes: Change[]; shared: number } {
  let shared = 0;
  while (shared < a.layers.length && a.layers[shared]?.diffID === b.layers[shared]?.diffID) shared++;
  return { changes: changesOf(a.stack.tree, b.stack.tree, true), shared };
}

/** A layer by its number, or by the start of its diffID or blob digest. 0 is the empty tree below the first. */
export function findLayer(exploration: Exploration, word: string): number {
  const { layers } = exploration;
  const digits = word.replace(/^sha256:/, "");
  if (/^\d{1,3}$/.test(word) && Number(word) <= layers.length) return Number(word);
  const fitting = layers.filter(
    ({ diffID, blob }) => diffID.slice(7).startsWith(digits) || blob.digest.slice(7).startsWith(digits),
  );
  const [first] = fitting;
  if (/^[0-9a-f]{4,64}$/.test(digits) && first && fitting.length === 1) return first.number;
  throw new TsboxError(
    `Cannot find layer "${visible(word)}" of "${exploration.name}": ${fitting.length > 1 ? "several ids start with it" : `it has layers 1 to ${layers.length}`}`,
    { code: "NO_SUCH_LAYER", hint: "give its number, or at least four digits of its id", exitCode: 1 },
  );
}
