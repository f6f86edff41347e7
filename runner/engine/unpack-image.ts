import { mkdirSync } from "node:fs";
import type { Writable } from "node:stream";
import { TsboxError } from "../base/error.ts";
import { MissingLink } from "../helper/client.ts";
import { unpackLayer } from "../layers/unpack.ts";
import { chainIDs } from "../oci/chain.ts";
import type { Digest } from "../oci/types.ts";
import { type Identity, idMapText } from "../plan/idmap.ts";
import { claimLayers } from "../store/layer-origin.ts";
import { commitLayer, hasLayer, layerRoot } from "../store/layer-store.ts";
import { storeLayout } from "../store/layout.ts";
import { stagingFolder } from "../store/staging.ts";
import { lock, unlock } from "../sys/native.ts";
import type { Engine } from "./engine.ts";
import { explained } from "./explain.ts";
import { removeTrees } from "./remove-trees.ts";

/** Where a layer's bytes come from, compressed as they may be. */
export type LayerSource = (number: number) => AsyncIterable<Uint8Array>;

/**
 * Unpacks the layers of an image that are not in the store yet, bottom first: what a layer's links and parents mean depends on those below. Returns
 * the lowerdirs, topmost first.
 */
export async function unpackLayers(
  engine: Engine,
  identity: Identity,
  diffIDs: Digest[],
  source: LayerSource,
  onLayer: (number: number) => void = () => {},
  /** Layers whose bytes are known to have their diffID. */
  isVerified: (number: number) => boolean = () => false,
): Promise<string[]> {
  const layout = storeLayout(engine.root);
  await claimLayers(layout, identity.key, idMapText(identity));
  const lowers: string[] = [];
  for (const [number, chainID] of chainIDs(diffIDs).entries()) {
    if (!hasLayer(layout, identity.key, chainID)) {
      const held = await lock(layout.lock(`layer-${identity.key}-${chainID.slice(7)}`));
      try {
        // another process may have made it while we waited
        if (!hasLayer(layout, identity.key, chainID)) {
          const diffID = diffIDs[number] as Digest;
          await unpackOne(engine, identity, source(number), lowers, { diffID, chainID, verified: isVerified(number) });
        }
      } finally {
        unlock(held);
      }
    }
    onLayer(number);
    lowers.unshift(layerRoot(layout, identity.key, chainID));
  }
  return lowers;
}

/** Unpacks one layer. Without `diffID` it is what its bytes say; it then lies on the chain `parent`, or is the lowest of its image. */
export async function unpackOne(
  engine: Engine,
  identity: Identity,
  source: AsyncIterable<Uint8Array>,
  lowers: string[],
  expected: { diffID?: Digest; chainID?: Digest; verified?: boolean; parent?: Digest },
): Promise<Digest> {
  const layout = storeLayout(engine.root);
  await claimLayers(layout, identity.key, idMapText(identity));
  const staged = stagingFolder(layout);
  let committed = false;
  try {
    const root = `${staged.path}/root`;
    mkdirSync(root, { mode: 0o755 });
    const apply = await engine.applyLayer(root, lowers, identity);
    let unpacked: Awaited<ReturnType<typeof unpackLayer>>;
    try {
      unpacked = await unpackLayer({
        source,
        sink: apply.sink,
        ...(expected.diffID !== undefined && { diffID: expected.diffID }),
        verified: expected.verified ?? false,
      });
      // a sink whose reader has gone may never say that it has ended
      await Promise.race([end(apply.sink), apply.done]);
    } catch (error) {
      apply.sink.destroy();
      apply.kill();
      // when the helper refused, its reason says more than the broken pipe
      const refusal = await apply.done.then(
        () => undefined,
        (reason: unknown) => reason,
      );
      const ours = error instanceof TsboxError && !(refusal instanceof MissingLink);
      throw ours ? error : explained(refusal ?? error);
    }
    const applied = await apply.done.catch((error: unknown) => {
      throw explained(error);
    });
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

function end(sink: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    sink.on("error", reject);
    sink.end(resolve);
  });
}
