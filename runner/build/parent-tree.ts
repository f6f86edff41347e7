import type { Engine } from "../engine/engine.ts";
import { chainIDs } from "../oci/chain.ts";
import type { Digest } from "../oci/types.ts";
import type { Identity } from "../plan/idmap.ts";
import type { BuiltLayer } from "../store/build-cache.ts";
import { layerRoot } from "../store/layer-store.ts";
import { storeLayout } from "../store/layout.ts";

/** The tree that a step starts from: unpacked layers, topmost first, and what names them all. */
export interface ParentTree {
  lowers: string[];
  chainID?: Digest;
}

export function chainOn(parent: Digest | undefined, diffID: Digest): Digest {
  return chainIDs(parent ? [parent, diffID] : [diffID]).at(-1) as Digest;
}

/** The tree with one layer more. */
export function onTop(
  engine: Engine,
  identity: Identity,
  parent: ParentTree,
  layer: Pick<BuiltLayer, "chainID">,
): ParentTree {
  const root = layerRoot(storeLayout(engine.root), identity.key, layer.chainID);
  return { lowers: [root, ...parent.lowers], chainID: layer.chainID };
}
