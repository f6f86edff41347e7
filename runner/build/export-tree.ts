import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { makeFolder } from "../base/make-folder.ts";
import { applyEntries } from "../engine/apply-entries.ts";
import { packing } from "../engine/pack-layer.ts";
import { writeOutput } from "../engine/write-output.ts";
import { RecordKind } from "../layers/abi.ts";
import { type PackTarResult, packTar } from "../layers/pack.ts";
import { readEntries } from "../layers/reader.ts";
import type { OutgoingEntry } from "../layers/writer.ts";
import type { Op } from "../plan/types.ts";
import type { BuildOutput } from "./options.ts";
import { scratchFolder } from "./scratch-folder.ts";
import type { BuildWorld, StageState } from "./stage-builder.ts";

/** `-o type=local` and `type=tar`: the files of a stage, without an image around them. */
export async function exportTree(world: BuildWorld, state: StageState, output: BuildOutput): Promise<void> {
  const { identity, options } = world;
  const folder = scratchFolder(world);
  const empty = join(folder, "empty");
  mkdirSync(empty, { mode: 0o755 });
  const lowers = state.lowers.length > 0 ? state.lowers : [empty];
  const ops: Op[] = [{ op: "pack", root: "/", init: "", flags: ["tree", "merge"], lowers }];
  const result: PackTarResult = { size: 0, entries: 0, exact: true };
  const tarOptions = options.sourceDateEpoch === undefined ? {} : { sourceDateEpoch: options.sourceDateEpoch };
  await packing(identity, ops, options.signal, async (records) => {
    const tar = packTar(records, tarOptions, result);
    if (output.type === "local") {
      const dest = output.dest as string;
      makeFolder(dest);
      await applyEntries(identity, dest, ownEntries(tar), options.signal);
      return;
    }
    await writeOutput("write the build", output.dest, tar, options.signal);
  });
}

/** All of it becomes the caller's, as docker does it; devices are left out. */
async function* ownEntries(tar: AsyncIterable<Uint8Array>): AsyncGenerator<OutgoingEntry> {
  for await (const { record, content } of readEntries(tar, { whiteouts: false })) {
    if (record.kind === RecordKind.CHARACTER || record.kind === RecordKind.BLOCK) continue;
    // the folder itself is the caller's own
    if (record.path.length === 0) continue;
    const own = { ...record, uid: 0, gid: 0, xattrs: [] };
    if (record.kind === RecordKind.FILE) yield { record: { ...own, flags: 0, data: record.size }, content };
    else yield { record: own };
  }
}
