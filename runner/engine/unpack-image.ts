import { mkdirSync } from "node:fs";
import { TsboxError } from "../base/error.ts";
import { SOURCE_FAILED } from "../base/growth.ts";
import { type Applied, type Applying, applyLayer, applyLayerFrom, EVENTS_FD, MissingLink } from "../helper/client.ts";
import { type UnpackedLayer, unpackLayer } from "../layers/unpack.ts";
import { UnpackWorker } from "../layers/unpack-worker.ts";
import { chainIDs } from "../oci/chain.ts";
import type { Digest } from "../oci/types.ts";
import { storePlan } from "../plan/build.ts";
import { type Identity, idMapText } from "../plan/idmap.ts";
import type { Plan } from "../plan/types.ts";
import type { BlobFile } from "../store/blob-store.ts";
import { claimLayers } from "../store/layer-origin.ts";
import { commitLayer, hasLayer, layerRoot } from "../store/layer-store.ts";
import { storeLayout } from "../store/layout.ts";
import { stagingFolder } from "../store/staging.ts";
import { closeFd, lock, makePipe, makeSocketPair, sendFds, unlock } from "../sys/native.ts";
import type { Engine } from "./engine.ts";
import { explained } from "./explain.ts";
import { removeTrees } from "./remove-trees.ts";

/** A layer's bytes, compressed as they may be. */
export type LayerBytes = BlobFile | AsyncIterable<Uint8Array>;

/** Where the bytes of each layer come from. */
export type LayerSource = (number: number) => LayerBytes;

/** What is known of a layer before it is unpacked. */
interface Expected {
  diffID?: Digest;
  chainID?: Digest;
  /** Its bytes are known to have that diffID. */
  verified?: boolean;
  parent?: Digest;
  /** Told now and then how many of its bytes are unpacked. */
  onRead?: (bytes: number) => void;
  /** Ends the work, also where it waits for the helper alone. */
  signal?: AbortSignal;
}

export interface UnpackOptions {
  /** Told of each layer that is there. */
  onLayer?: (number: number) => void;
  /** Told now and then how many of a layer's bytes are unpacked. */
  onRead?: (number: number, bytes: number) => void;
  /** Layers whose bytes are known to have their diffID. */
  isVerified?: (number: number) => boolean;
  /** One that was started early; closed here. */
  worker?: UnpackWorker;
  /** Ends the work: nothing of the layer that is being unpacked stays. */
  signal?: AbortSignal;
}

/** Milliseconds between two looks at how far the thread is. */
const TOLD_EVERY = 100;

/** Bytes of a compressed layer from which on a thread of its own saves more than its start costs. */
export const WORTH_A_THREAD = 2 << 20;

/**
 * Unpacks the layers of an image that are not in the store yet, bottom first: what a layer's links and parents mean depends on those below. Returns
 * the lowerdirs, topmost first.
 */
export async function unpackLayers(
  engine: Engine,
  identity: Identity,
  diffIDs: Digest[],
  source: LayerSource,
  { onLayer = () => {}, onRead, isVerified = () => false, worker = new UnpackWorker(), signal }: UnpackOptions = {},
): Promise<string[]> {
  const layout = storeLayout(engine.root);
  await claimLayers(layout, identity.key, idMapText(identity));
  const lowers: string[] = [];
  try {
    for (const [number, chainID] of chainIDs(diffIDs).entries()) {
      signal?.throwIfAborted();
      if (!hasLayer(layout, identity.key, chainID)) {
        const held = await lock(layout.lock(`layer-${identity.key}-${chainID.slice(7)}`));
        try {
          // another process may have made it while we waited
          if (!hasLayer(layout, identity.key, chainID)) {
            const expected = {
              diffID: diffIDs[number] as Digest,
              chainID,
              verified: isVerified(number),
              ...(onRead && { onRead: (bytes: number) => onRead(number, bytes) }),
              ...(signal && { signal }),
            };
            await unpackOne(engine, identity, source(number), lowers, expected, worker);
          }
        } finally {
          unlock(held);
        }
      }
      onLayer(number);
      lowers.unshift(layerRoot(layout, identity.key, chainID));
    }
    return lowers;
  } finally {
    await worker.close();
  }
}

/** Unpacks one layer. Without `diffID` it is what its bytes say; it then lies on the chain `parent`, or is the lowest of its image. */
export async function unpackOne(
  engine: Engine,
  identity: Identity,
  source: LayerBytes,
  lowers: string[],
  expected: Expected,
  worker?: UnpackWorker,
): Promise<Digest> {
  const layout = storeLayout(engine.root);
  await claimLayers(layout, identity.key, idMapText(identity));
  const staged = stagingFolder(layout);
  let committed = false;
  try {
    const root = `${staged.path}/root`;
    const { unpacked, applied } = await unpackInto(root, identity, source, lowers, expected, worker);
    const diffID = unpacked.diffID as Digest;
    const chainID =
      expected.chainID ?? (chainIDs(expected.parent ? [expected.parent, diffID] : [diffID]).at(-1) as Digest);
    const meta = { diffID, chainID, size: unpacked.size, entries: unpacked.entries };
    if (!hasLayer(layout, identity.key, meta.chainID)) {
      commitLayer(layout, identity.key, staged, meta, applied.deferred);
      committed = true;
    }
    return diffID;
  } finally {
    // what cannot be removed stays as garbage: the reason of the failure must not be lost for it
    if (!committed) await removeTrees(engine, [staged.path], identity).catch(() => {});
    staged.release();
  }
}

/** Unpacks one layer into a folder that is made for it. */
export async function unpackInto(
  root: string,
  identity: Identity,
  source: LayerBytes,
  lowers: string[],
  expected: Expected,
  worker?: UnpackWorker,
): Promise<Passed> {
  mkdirSync(root, { mode: 0o755 });
  const plan = (flags: string[]) =>
    storePlan(identity, [{ op: "private-mounts" }, { op: "apply", root, flags, lowers }], EVENTS_FD);
  const file = "bytes" in source ? source : undefined;
  const byThread = worker && expected.diffID && file && file.size >= WORTH_A_THREAD;
  return byThread
    ? passFile(plan, file, expected, worker)
    : passStream(plan([]), file ? file.bytes() : (source as AsyncIterable<Uint8Array>), expected);
}

interface Passed {
  unpacked: UnpackedLayer;
  applied: Applied;
}

/** From a stream to the helper, on this thread. */
async function passStream(plan: Plan, source: AsyncIterable<Uint8Array>, expected: Expected): Promise<Passed> {
  const apply = applyLayer(plan);
  const { sink } = apply;
  return finish(apply, expected.signal, async () => {
    try {
      const unpacked = await unpackLayer({ source: counted(source, expected.onRead), sink, ...expected });
      // not waited for: a sink whose reader has gone never says that it has ended
      sink.end();
      return unpacked;
    } catch (error) {
      sink.destroy();
      throw error;
    }
  });
}

/** From a file to the helper, on the worker's thread. */
async function passFile(
  plan: (flags: string[]) => Plan,
  source: BlobFile,
  expected: Expected,
  worker: UnpackWorker,
): Promise<Passed> {
  // first: what is asked for over the network comes while the helper starts
  const file = await source.open();
  try {
    const memory = worker.memory();
    const mapped = memory !== undefined;
    const [read, write] = mapped ? makeSocketPair("stream") : makePipe();
    let apply: Applying;
    try {
      if (mapped) sendFds(write, new Uint8Array(1), [memory]);
      apply = applyLayerFrom(read, plan(mapped ? ["lent"] : []));
    } catch (error) {
      closeFd(write);
      throw error;
    } finally {
      closeFd(read);
    }
    return await finish(apply, expected.signal, () =>
      unpackByThread(file.fd, source, { sink: write, mapped }, expected, worker).finally(() => closeFd(write)),
    );
  } finally {
    await file.close();
  }
}

async function unpackByThread(
  fd: number,
  { size, growth, done }: BlobFile,
  to: { sink: number; mapped: boolean },
  { diffID, verified = false, onRead }: Expected,
  worker: UnpackWorker,
): Promise<UnpackedLayer> {
  const consumed = new SharedArrayBuffer(8);
  const told = () => onRead?.(Number(Atomics.load(new BigInt64Array(consumed), 0)));
  const timer = onRead && setInterval(told, TOLD_EVERY);
  const job = { fd, size, ...to, diffID: diffID as Digest, verified, consumed };
  try {
    return await worker.unpack({ ...job, ...(growth && { growth: growth.shared }) });
  } catch (error) {
    // why its bytes are void is not known to the worker
    if ((error as { code?: string }).code === SOURCE_FAILED) await done;
    throw error;
  } finally {
    clearInterval(timer);
  }
}

async function finish(
  apply: Applying,
  signal: AbortSignal | undefined,
  work: () => Promise<UnpackedLayer>,
): Promise<Passed> {
  // without a reader the pipe breaks, which ends whoever writes: a thread that blocks cannot be told otherwise
  const abort = () => apply.kill();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await settled(apply, signal, work);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}

async function settled(
  apply: Applying,
  signal: AbortSignal | undefined,
  work: () => Promise<UnpackedLayer>,
): Promise<Passed> {
  let unpacked: UnpackedLayer;
  try {
    unpacked = await work();
  } catch (error) {
    apply.kill();
    // when the helper refused, its reason says more than the broken pipe
    const refusal = await apply.done.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    signal?.throwIfAborted();
    const ours = error instanceof TsboxError && !(refusal instanceof MissingLink);
    throw ours ? error : explained(refusal ?? error);
  }
  const applied = await apply.done.catch((error: unknown) => {
    signal?.throwIfAborted();
    throw explained(error);
  });
  return { unpacked, applied };
}

/** The source again; how much of it was taken is told. */
async function* counted(source: AsyncIterable<Uint8Array>, onRead: Expected["onRead"]): AsyncGenerator<Uint8Array> {
  let bytes = 0;
  for await (const chunk of source) {
    yield chunk;
    bytes += chunk.length;
    onRead?.(bytes);
  }
}
