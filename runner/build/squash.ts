import { RecordKind } from "../layers/abi.ts";
import { decompress } from "../layers/decompress.ts";
import { readEntries } from "../layers/reader.ts";
import type { OutgoingEntry } from "../layers/writer.ts";
import { chainIDs } from "../oci/chain.ts";
import { blobStream } from "../store/blob-store.ts";
import { layerRoot } from "../store/layer-store.ts";
import { storeLayout } from "../store/layout.ts";
import { makeLayer } from "./make-layer.ts";
import { onTop } from "./parent-tree.ts";
import type { BuildWorld, FinishedStage } from "./stage-builder.ts";

/** Makes one layer of all that the build added to its base image; the history keeps every step. */
export async function squash(world: BuildWorld, state: FinishedStage, baseLayers: number): Promise<FinishedStage> {
  const added = state.layers.slice(baseLayers);
  if (added.length < 2) return state;
  const { engine, identity } = world;
  const layout = storeLayout(engine.root);
  const base = state.layers.slice(0, baseLayers);
  const chain = chainIDs(base.map((layer) => layer.diffID));
  const parent = {
    lowers: chain.map((chainID) => layerRoot(layout, identity.key, chainID)).reverse(),
    ...(chain.length > 0 && { chainID: chain.at(-1) as (typeof chain)[number] }),
  };
  const open = (number: number) =>
    readEntries(decompress(blobStream(layout, (added[number] as (typeof added)[number]).digest)), { whiteouts: true });
  const survivors = await surviving(added.length, open);
  async function* entries(): AsyncGenerator<OutgoingEntry> {
    for (let number = 0; number < added.length; number++) {
      let index = 0;
      for await (const { record, content } of open(number)) {
        const lasts = survivors[number]?.has(index++);
        if (!lasts) continue;
        if (record.kind === RecordKind.FILE) yield { record: { ...record, flags: 0, data: record.size }, content };
        else yield { record };
      }
    }
  }
  const layer = await makeLayer(engine, identity, parent, entries(), world.options);
  let left = base.length;
  const history = state.history.map((entry) => {
    if (entry.empty_layer) return entry;
    return left-- > 0 ? entry : { ...entry, empty_layer: true };
  });
  // the one layer stands where the last was made
  const last = history.findLastIndex((entry, number) => entry.empty_layer && !state.history[number]?.empty_layer);
  const { empty_layer: _, ...made } = history[last] ?? {};
  return {
    ...state,
    ...onTop(engine, identity, parent, layer),
    layers: [...base, { ...layer, ...(await layer.blob) }],
    history: history.with(last, made),
  };
}

/** Which entries of which layer are seen from above: later ones hide earlier ones, and what whiteouts name. */
async function surviving(
  count: number,
  open: (number: number) => ReturnType<typeof readEntries>,
): Promise<Set<number>[]> {
  const seen = new Map<string, { layer: number; index: number; kind: number }>();
  const hide = (path: string, itself: boolean) => {
    for (const name of [...seen.keys()]) {
      if ((itself && name === path) || name.startsWith(path === "" ? "" : `${path}/`)) seen.delete(name);
    }
  };
  for (let layer = 0; layer < count; layer++) {
    const own: [string, { layer: number; index: number; kind: number }][] = [];
    let index = 0;
    for await (const { record } of open(layer)) {
      const path = Buffer.from(record.path).toString("latin1");
      const { kind } = record;
      if (kind === RecordKind.WHITEOUT) hide(path, true);
      else if (kind === RecordKind.OPAQUE) hide(path, false);
      else if (kind !== RecordKind.DIRECTORY && seen.get(path)?.kind === RecordKind.DIRECTORY) hide(path, true);
      const marks = kind === RecordKind.WHITEOUT || kind === RecordKind.OPAQUE;
      own.push([marks ? `${path}\0${kind}` : path, { layer, index: index++, kind }]);
    }
    for (const [path, entry] of own) seen.set(path, entry);
  }
  const result = Array.from({ length: count }, () => new Set<number>());
  for (const { layer, index } of seen.values()) result[layer]?.add(index);
  return result;
}
