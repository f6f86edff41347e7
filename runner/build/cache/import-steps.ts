import { open } from "node:fs/promises";
import { TsboxError } from "../../base/error.ts";
import type { Engine } from "../../engine/engine.ts";
import { unpackOne } from "../../engine/unpack-image.ts";
import { sniff } from "../../layers/decompress.ts";
import { OCI_LAYER, OCI_LAYER_GZIP, OCI_LAYER_ZSTD } from "../../oci/media-types.ts";
import type { Identity } from "../../plan/idmap.ts";
import { RegistryError } from "../../registry/registry-error.ts";
import { blobFile } from "../../store/blob-store.ts";
import { hasBlob } from "../../store/blobs.ts";
import type { BuiltLayer, StepResult } from "../../store/build-cache.ts";
import { hasLayer } from "../../store/layer-store.ts";
import { makeStore, type StoreLayout, storeLayout } from "../../store/layout.ts";
import { lock, unlock } from "../../sys/native.ts";
import type { BuildOptions } from "../options.ts";
import { chainOn, type ParentTree } from "../parent-tree.ts";
import { LocalSteps } from "./local.ts";
import { RegistrySteps } from "./registry-import.ts";

/** Steps that other builds left somewhere. */
export interface StepSource {
  /** As people are told of it. */
  name: string;
  /** What is known of a step; undefined: nothing. */
  step(key: string): Promise<StepResult | undefined>;
  /** Puts a layer's blob into the store; refuses what has another digest. */
  bring(layer: BuiltLayer): Promise<void>;
  close(): void;
}

/**
 * Finds steps in the places of `--cache-from`. What comes from there is not trusted to be whole: each digest is checked, and whatever is wrong with it is a
 * note and a step that is run. (It is trusted to be what the step makes: nobody could tell without running it.)
 */
export class StepImports {
  readonly #engine: Engine;
  readonly #identity: Identity;
  readonly #options: BuildOptions;
  readonly #note: (text: string) => void;
  #sources: StepSource[];

  constructor(engine: Engine, identity: Identity, options: BuildOptions, note: (text: string) => void) {
    this.#engine = engine;
    this.#identity = identity;
    this.#options = options;
    this.#note = note;
    this.#sources = options.cacheFrom.map((place) =>
      place.type === "local"
        ? new LocalSteps(engine, place.folder)
        : new RegistrySteps(engine, place.references, options, note),
    );
  }

  /** A step, its layer in the store and unpacked on the tree it belongs to; a linked one fits every tree. */
  async fetch(key: string, parent: ParentTree, linked = false): Promise<StepResult | undefined> {
    for (const source of [...this.#sources]) {
      try {
        const known = await source.step(key);
        if (!known) continue;
        const { layer } = known;
        const moved = linked && layer && { layer: { ...layer, chainID: chainOn(parent.chainID, layer.diffID) } };
        const found = { ...known, ...moved };
        if (!found.layer || (await this.#take(source, found.layer, parent))) return found;
      } catch (error) {
        this.#options.signal.throwIfAborted();
        this.#note(`the cache ${source.name} does not help with a step: ${(error as Error).message}`);
        // one that does not answer would be waited for at every step
        if (error instanceof RegistryError) this.#sources = this.#sources.filter((one) => one !== source);
      }
    }
    return undefined;
  }

  close(): void {
    for (const source of this.#sources) source.close();
  }

  /** False: it is the layer of another tree. */
  async #take(source: StepSource, layer: BuiltLayer, parent: ParentTree): Promise<boolean> {
    if (layer.chainID !== chainOn(parent.chainID, layer.diffID)) return false;
    const layout = storeLayout(this.#engine.root);
    const { key } = this.#identity;
    makeStore(layout);
    if (!hasBlob(layout, layer.digest)) await source.bring(layer);
    await checkForm(layout, layer);
    if (hasLayer(layout, key, layer.chainID)) return true;
    const held = await lock(layout.lock(`layer-${key}-${layer.chainID.slice(7)}`));
    try {
      if (hasLayer(layout, key, layer.chainID)) return true;
      const { diffID, chainID } = layer;
      const { signal } = this.#options;
      const expected = { diffID, chainID, signal };
      await unpackOne(this.#engine, this.#identity, blobFile(layout, layer.digest), parent.lowers, expected);
      return true;
    } finally {
      unlock(held);
    }
  }
}

const FORMS = { gzip: OCI_LAYER_GZIP, zstd: OCI_LAYER_ZSTD, none: OCI_LAYER };

/** The image's manifest will say what a step's record says: it must be so. */
async function checkForm(layout: StoreLayout, { digest, size, mediaType }: BuiltLayer): Promise<void> {
  const file = await open(layout.blob(digest), "r");
  try {
    const head = Buffer.alloc(8);
    await file.read(head, 0, head.length, 0);
    const told = { mediaType, size };
    const real = { mediaType: FORMS[sniff(head)], size: (await file.stat()).size };
    if (told.mediaType === real.mediaType && told.size === real.size) return;
    throw new TsboxError(`Cannot use layer ${digest}: it is not of the kind and size that its step tells`, {
      code: "INVALID_STEP",
    });
  } finally {
    await file.close();
  }
}
