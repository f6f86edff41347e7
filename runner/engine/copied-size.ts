import type { ContainerRecord } from "../container/record.ts";
import { RecordKind } from "../layers/abi.ts";
import { eachEntry } from "../layers/records.ts";
import { containerTree } from "./container-tree.ts";
import type { Engine } from "./engine.ts";
import { packing } from "./pack-layer.ts";

/** Bytes of what a container wrote whose root is a copy of its image: of the files that differ from it. */
export async function copiedSize(engine: Engine, record: ContainerRecord): Promise<number> {
  const { upper, init, lowers, identity } = containerTree(engine, record, "measure");
  let bytes = 0;
  await packing(
    identity,
    [{ op: "pack", root: upper, init, flags: ["names", "whole"], lowers }],
    undefined,
    (records) =>
      eachEntry(records, ({ kind, size }) => {
        if (kind === RecordKind.FILE) bytes += size;
      }),
  );
  return bytes;
}
