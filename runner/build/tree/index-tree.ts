import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { applyEntries } from "../../engine/apply-entries.ts";
import { packing } from "../../engine/pack-layer.ts";
import { decodeRecord, RecordKind } from "../../layers/abi.ts";
import { type PackTarResult, packTar } from "../../layers/pack.ts";
import { readEntries } from "../../layers/reader.ts";
import { RecordSplitter } from "../../layers/records.ts";
import type { OutgoingEntry } from "../../layers/writer.ts";
import type { Identity } from "../../plan/idmap.ts";
import type { Op } from "../../plan/types.ts";
import type { EntryKind, TreeNode } from "./layered-tree.ts";

const KINDS: Partial<Record<number, EntryKind>> = {
  [RecordKind.DIRECTORY]: "directory",
  [RecordKind.FILE]: "file",
  [RecordKind.HARDLINK]: "file",
  [RecordKind.SYMLINK]: "symlink",
};

/**
 * Every node of a tree, read inside the user namespace: folders that only their owner may enter (`/home/app` of a Debian) are closed to the caller.
 * `folder` is an empty one that goes with the build.
 */
export async function indexTree(
  identity: Identity,
  lowers: readonly string[],
  folder: string,
  signal: AbortSignal,
): Promise<Map<string, TreeNode>> {
  const nodes = new Map<string, TreeNode>([["", { path: "", kind: "directory", mode: 0o755, size: 0 }]]);
  await packing(
    identity,
    [{ op: "pack", root: "/", init: "", flags: ["tree", "merge", "names"], lowers: layersOf(lowers, folder) }],
    signal,
    async (records) => {
      const splitter = new RecordSplitter();
      for await (const chunk of records) {
        for (const part of splitter.split(chunk)) {
          if (!("record" in part) || part.record[4] === RecordKind.END) continue;
          const { kind, mode, path, link, uid, gid, mtimeSeconds, ...record } = decodeRecord(part.record);
          const name = Buffer.from(path).toString();
          const first = kind === RecordKind.HARDLINK ? nodes.get(Buffer.from(link).toString()) : undefined;
          const size = first?.size ?? record.size;
          const owner = first?.owner ?? { uid, gid, mtimeSeconds };
          const node = {
            path: name,
            kind: KINDS[kind] ?? "other",
            mode: first?.mode ?? mode,
            size,
            owner,
          } satisfies TreeNode;
          nodes.set(name, kind === RecordKind.SYMLINK ? { ...node, link: Buffer.from(link).toString() } : node);
        }
      }
    },
  );
  return nodes;
}

/** A stage that starts from nothing has no layers: an empty one is as good. */
function layersOf(lowers: readonly string[], folder: string): string[] {
  if (lowers.length > 0) return [...lowers];
  const empty = join(folder, "empty");
  mkdirSync(empty, { recursive: true, mode: 0o755 });
  return [empty];
}

/** Copies what lies below `path` of a tree to where the caller can read it, whoever owns it. */
export async function spoolTree(
  identity: Identity,
  lowers: readonly string[],
  folder: string,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const dest = join(folder, "spool");
  mkdirSync(dest, { mode: 0o755 });
  const result: PackTarResult = { size: 0, entries: 0, exact: true };
  const ops: Op[] = [
    { op: "pack", root: join("/", path), init: "", flags: ["tree", "merge"], lowers: layersOf(lowers, folder) },
  ];
  await packing(identity, ops, signal, (records) =>
    applyEntries(identity, dest, readable(packTar(records, {}, result)), signal),
  );
  return dest;
}

async function* readable(tar: AsyncIterable<Uint8Array>): AsyncGenerator<OutgoingEntry> {
  for await (const { record, content } of readEntries(tar, { whiteouts: false })) {
    const own = { ...record, uid: 0, gid: 0, mode: 0o755 };
    if (record.path.length === 0 || record.kind === RecordKind.CHARACTER || record.kind === RecordKind.BLOCK) continue;
    if (record.kind === RecordKind.FILE) yield { record: { ...own, flags: 0, data: record.size }, content };
    else yield { record: own };
  }
}
