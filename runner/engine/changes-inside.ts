import { EVENTS_FD, packTree } from "../helper/client.ts";
import { storePlan } from "../plan/build.ts";
import type { Layers } from "./diff.ts";
import { explained } from "./explain.ts";

/** What the topmost layer changed in those below, as lines: found in the user namespace of its id map, where all of it can be seen. */
export async function changesInside({ layers, init, identity }: Layers, signal?: AbortSignal): Promise<Buffer> {
  signal?.throwIfAborted();
  const [upper = "", ...lowers] = layers;
  const found = packTree(storePlan(identity, [{ op: "changes", upper, init, lowers }], EVENTS_FD));
  const abort = () => found.kill();
  signal?.addEventListener("abort", abort, { once: true });
  try {
    const pieces: Uint8Array[] = [];
    for await (const piece of found.records) pieces.push(piece as Uint8Array);
    await found.done;
    return Buffer.concat(pieces);
  } catch (error) {
    signal?.throwIfAborted();
    throw explained(error);
  } finally {
    signal?.removeEventListener("abort", abort);
  }
}
