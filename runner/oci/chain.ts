import { digestOf } from "./digest-of.ts";
import type { Digest } from "./types.ts";

/** The chainID of each layer, bottom first: it names the layer together with all below it (OCI image spec, "Layer ChainID"). */
export function chainIDs(diffIDs: Digest[]): Digest[] {
  const chain: Digest[] = [];
  for (const diffID of diffIDs) {
    const below = chain.at(-1);
    chain.push(below === undefined ? diffID : digestOf(`${below} ${diffID}`));
  }
  return chain;
}
