import { TsboxError } from "../base/error.ts";
import { EVENTS_FD, packTree } from "../helper/client.ts";
import { RecordKind } from "../layers/abi.ts";
import { type PackTarOptions, type PackTarResult, packTar, type TrueEntry } from "../layers/pack.ts";
import { PiecePool } from "../layers/pieces.ts";
import { eachEntry, type PackedEntry } from "../layers/records.ts";
import type { Digest } from "../oci/types.ts";
import { storePlan } from "../plan/build.ts";
import type { Identity } from "../plan/idmap.ts";
import type { Op } from "../plan/types.ts";
import { type Inbox, openInbox } from "../store/inbox.ts";
import { makeStore, storeLayout } from "../store/layout.ts";
import { type Deferred, layerOwners, type Owners, percentEncoded } from "../store/owners.ts";
import { containerTreeOp } from "./container-tree.ts";
import type { Engine } from "./engine.ts";
import { explained } from "./explain.ts";
import { keepLayer } from "./keep-layer.ts";

export interface PackLayerOptions {
  /** An overlay's upper directory: it becomes the layer. */
  upper: string;
  /** What it lay on, topmost first, without the init layer; empty for the lowest layer of an image. */
  lowers: string[];
  /** The init layer between them, if there was one: what is there because of it is not packed. */
  init?: string;
  /** `upper` is a copy of all of them, in which somebody worked. */
  whole?: boolean;
  /** The id map under which the tree was written. */
  identity: Identity;
  /** Seconds since 1970: no time in the layer is later. */
  sourceDateEpoch?: number;
  /** Where the blob goes, if not straight into the store: an inbox. */
  inbox?: Inbox;
  signal?: AbortSignal;
}

export interface PackedLayer {
  /** Of the tar. */
  diffID: Digest;
  /** Of the blob, and its length. */
  digest: Digest;
  size: number;
  mediaType: string;
  /** Length of the tar. */
  tarSize: number;
  entries: number;
  /** False: nothing differs from the layers below. The blob, of an empty archive, is there all the same. */
  changed: boolean;
  /** The tree is what the blob would unpack to: see adoptLayer. */
  exact: boolean;
  /** What of the layer could not be set on disk here: its `owners` file. */
  deferred: object[];
}

/** Makes a layer's blob of a tree. Memory is bounded, whatever the tree holds. */
export function packLayer(engine: Engine, options: PackLayerOptions): Promise<PackedLayer> {
  const op: Op = {
    op: "pack",
    root: options.upper,
    init: options.init ?? "",
    flags: options.whole ? ["whole"] : [],
    lowers: options.lowers,
  };
  return packInto(engine, options, [op], new TrueOwners(options.lowers.map(layerOwners)));
}

async function packInto(
  engine: Engine,
  options: PackLayerOptions,
  ops: Op[],
  owners: TrueOwners,
): Promise<PackedLayer> {
  const layout = storeLayout(engine.root);
  makeStore(layout);
  const inbox = options.inbox ?? openInbox(layout);
  const result: PackTarResult = { size: 0, entries: 0, exact: true };
  const pool = new PiecePool();
  const tarOptions: PackTarOptions = {
    pool,
    layer: true,
    ...(options.sourceDateEpoch !== undefined && { sourceDateEpoch: options.sourceDateEpoch }),
    ...(owners.any && { trueEntry: (entry: PackedEntry) => owners.find(entry) }),
  };
  try {
    const blob = await packing(options.identity, ops, options.signal, (records) =>
      keepLayer(inbox, packTar(records, tarOptions, result), pool),
    );
    if (!options.inbox) await inbox.adopt([blob.digest]);
    return {
      ...blob,
      tarSize: result.size,
      entries: result.entries,
      changed: result.entries > 0,
      exact: result.exact && options.sourceDateEpoch === undefined,
      deferred: owners.deferred,
    };
  } finally {
    if (!options.inbox) inbox.release();
  }
}

/** Runs `pack` and lets `consume` have its records. Of two failures the helper's own says more than that the stream was cut off. */
export async function packing<T>(
  identity: Identity,
  ops: Op[],
  signal: AbortSignal | undefined,
  consume: (records: AsyncIterable<Uint8Array>) => Promise<T>,
): Promise<T> {
  signal?.throwIfAborted();
  const pack = packTree(storePlan(identity, [{ op: "private-mounts" }, ...ops], EVENTS_FD));
  const abort = () => pack.kill();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const consumed = await consume(pack.records);
    await pack.done;
    return consumed;
  } catch (error) {
    pack.records.destroy();
    const cutOff = error instanceof TsboxError && error.code === "BAD_RECORDS";
    if (!cutOff) pack.kill();
    signal?.throwIfAborted();
    const refusal = await pack.done.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    throw cutOff ? explained(refusal ?? error) : error;
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

/**
 * Whose the files are in truth, where the layers below could not be given their owners. What overlay copied up keeps the owner it has in the layer
 * that shows it; what the program made is its own.
 */
class TrueOwners {
  readonly deferred: object[] = [];
  readonly any: boolean;

  constructor(
    private readonly layers: Owners[],
    /** Of a merged tree every entry is one of the layer that shows it. */
    private readonly merged = false,
  ) {
    this.any = layers.some((owners) => owners.size > 0);
  }

  find(entry: PackedEntry): TrueEntry | undefined {
    if (entry.below === 0 || !(entry.copied || this.merged)) return undefined;
    const known: Deferred | undefined = this.layers[entry.below - 1]?.get(entry.path);
    if (known && entry.kind !== RecordKind.HARDLINK)
      this.deferred.push({ ...known, event: "deferred", path: percentEncoded(entry.path) });
    return known;
  }
}

/** The same of the whole tree that one sees above: one layer that needs none below. */
export async function packTreeLayer(engine: Engine, options: PackLayerOptions): Promise<PackedLayer> {
  return packInto(
    engine,
    options,
    [containerTreeOp({ init: "", whole: false, ...options })],
    await mergedOwners(options),
  );
}

/** The owners of a merged tree: those of its layers, and for the upper directory what a layer made of it would say. */
export async function mergedOwners(
  options: Pick<PackLayerOptions, "upper" | "lowers" | "whole" | "identity" | "signal">,
): Promise<TrueOwners> {
  const layers = options.lowers.map(layerOwners);
  const above = new TrueOwners(layers);
  // of a copy every entry tells by itself whether it is still the layer's
  if (options.whole) return above;
  const found = new Map<string, Deferred>();
  if (above.any) {
    const op: Op = { op: "pack", root: options.upper, init: "", flags: ["names"], lowers: options.lowers };
    await packing(options.identity, [op], options.signal, (records) =>
      eachEntry(records, (entry) => {
        const known = above.find(entry);
        if (known) found.set(entry.path, { path: "", ...known });
      }),
    );
  }
  return new TrueOwners([found, ...layers], true);
}
