import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { packing } from "../../engine/pack-layer.ts";
import { decodeRecord, RecordKind } from "../../layers/abi.ts";
import { RecordSplitter } from "../../layers/records.ts";
import type { Identity } from "../../plan/idmap.ts";
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
  const [target, empty] = [join(folder, "merged"), join(folder, "empty")];
  for (const path of [target, empty]) mkdirSync(path, { mode: 0o755 });
  // without an upper the kernel wants two lowers
  const list = [...lowers, empty];
  const nodes = new Map<string, TreeNode>([["", { path: "", kind: "directory", mode: 0o755, size: 0 }]]);
  await packing(
    identity,
    [
      { op: "overlay", target, upper: "", work: "", flags: ["userxattr", "ro"], lowers: list },
      { op: "pack", root: target, init: "", flags: ["tree", "names"], lowers: list },
    ],
    signal,
    async (records) => {
      const splitter = new RecordSplitter();
      for await (const chunk of records) {
        for (const part of splitter.split(chunk)) {
          if (!("record" in part) || part.record[4] === RecordKind.END) continue;
          const { kind, mode, size, path, link } = decodeRecord(part.record);
          const name = Buffer.from(path).toString();
          const node = { path: name, kind: KINDS[kind] ?? "other", mode, size } satisfies TreeNode;
          nodes.set(name, kind === RecordKind.SYMLINK ? { ...node, link: Buffer.from(link).toString() } : node);
        }
      }
    },
  );
  return nodes;
}
