import { type PackTarResult, packTar } from "../layers/pack.ts";
import type { Op } from "../plan/types.ts";
import { containerIdentity } from "./container-identity.ts";
import { tell } from "./container-state.ts";
import { containerTree, containerTreeOp } from "./container-tree.ts";
import type { Engine } from "./engine.ts";
import { mergedOwners, packing } from "./pack-layer.ts";
import { writeOutput } from "./write-output.ts";

export interface ExportOptions {
  /** Absent: standard output. */
  path?: string;
  /** Seconds since 1970: no time in the archive is later. */
  sourceDateEpoch?: number;
  signal?: AbortSignal;
}

/** Writes what a container sees of its own files, without its mounts, as a tar. The same tree gives the same bytes. A file gets its name when it is complete. */
export async function exportContainer(engine: Engine, word: string, options: ExportOptions): Promise<void> {
  const record = engine.containers.find(word);
  const identity = containerIdentity(engine, record);
  let ops: Op[];
  let trueEntry = {};
  if (record.image === "" && record.imageID === "") {
    // --rootfs: the tree is there as it is
    ops = [{ op: "pack", root: record.lowers[0] as string, init: "", flags: ["tree"], lowers: [] }];
  } else {
    const tree = containerTree(engine, record, "export");
    ops = [containerTreeOp(tree)];
    const owners = await mergedOwners({ ...tree, ...(options.signal && { signal: options.signal }) });
    if (owners.any) trueEntry = { trueEntry: owners.find.bind(owners) };
  }
  const { sourceDateEpoch } = options;
  const tarOptions = { ...trueEntry, ...(sourceDateEpoch !== undefined && { sourceDateEpoch }) };
  const result: PackTarResult = { size: 0, entries: 0, exact: true };
  await packing(identity, ops, options.signal, (records) =>
    writeOutput("export", options.path, packTar(records, tarOptions, result), options.signal),
  );
  tell(engine, record, "export");
}
