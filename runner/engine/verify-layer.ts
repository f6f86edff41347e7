import { visible } from "../base/error.ts";
import { type Difference, differences } from "../layers/fingerprints.ts";
import { UnpackWorker } from "../layers/unpack-worker.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import type { Identity } from "../plan/idmap.ts";
import type { Op } from "../plan/types.ts";
import { blobFile } from "../store/blob-store.ts";
import { storeLayout } from "../store/layout.ts";
import { stagingFolder } from "../store/staging.ts";
import type { Engine } from "./engine.ts";
import { packing } from "./pack-layer.ts";
import { removeTrees } from "./remove-trees.ts";
import { unpackInto } from "./unpack-image.ts";

export interface VerifiedLayer {
  /** The unpacked tree. */
  root: string;
  /** What it lies on, topmost first. */
  lowers: string[];
  blob: Descriptor;
  diffID: Digest;
}

/** So many files are named. */
const NAMED = 3;

/**
 * Unpacks a layer's blob once more, to be thrown away, and compares it with the tree that is there: every file's content and all that is known of it. What a tar means
 * on disk is known to `apply` alone: links in the way to a file, files told twice, marks, links to files of layers below. Undefined where they are alike.
 */
export async function layerDamage(
  engine: Engine,
  identity: Identity,
  layer: VerifiedLayer,
  signal?: AbortSignal,
): Promise<string | undefined> {
  const staged = stagingFolder(storeLayout(engine.root));
  const worker = new UnpackWorker();
  try {
    const right = `${staged.path}/root`;
    const { diffID, lowers, root } = layer;
    const expected = { diffID, ...(signal && { signal }) };
    await unpackInto(right, identity, blobFile(storeLayout(engine.root), layer.blob.digest), lowers, expected, worker);
    const pack = (tree: string): Op[] => [{ op: "pack", root: tree, init: "", flags: [], lowers }];
    const found: Difference[] = [];
    let count = 0;
    await packing(identity, pack(root), signal, (is) =>
      packing(identity, pack(right), signal, async (should) => {
        for await (const difference of differences(is, should)) if (++count <= NAMED) found.push(difference);
      }),
    );
    return count === 0 ? undefined : told(found, count);
  } finally {
    await worker.close();
    await removeTrees(engine, [staged.path], identity).catch(() => {});
    staged.release();
  }
}

const HOW: Record<string, string> = { missing: "is missing", "too many": "is not of the layer" };

function told(found: Difference[], count: number): string {
  const named = found.map(
    ({ path, how }) => `"/${visible(Buffer.from(path, "latin1").toString())}" ${HOW[how] ?? `has another ${how}`}`,
  );
  return `${named.join(", ")}${count > found.length ? `, and ${count - found.length} more` : ""}`;
}
