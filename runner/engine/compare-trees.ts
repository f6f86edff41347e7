import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { decodeRecord, type LayerRecord, RecordKind } from "../layers/abi.ts";
import { eachRecord } from "../layers/records.ts";
import { storeLayout } from "../store/layout.ts";
import { stagingFolder } from "../store/staging.ts";
import { mergedOps } from "./container-tree.ts";
import type { Change, Layers } from "./diff.ts";
import type { Engine } from "./engine.ts";
import { packing } from "./pack-layer.ts";

/** What has to change in the tree `from` to make `to` of it. Sorted by path. */
export async function compareTrees(engine: Engine, from: Layers, to: Layers, signal?: AbortSignal): Promise<Change[]> {
  const before = await treeEntries(engine, from, signal);
  const after = await treeEntries(engine, to, signal);
  const changes = new Changes();
  for (const [path, entry] of after) {
    const other = before.get(path);
    if (other === undefined) changes.add("A", path);
    else if (other !== entry) changes.add("C", path);
  }
  for (const [path] of before) {
    const slash = path.lastIndexOf("/");
    // of what is gone with all below it only the top is told
    if (!after.has(path) && (slash < 0 || isDirectory(after.get(path.slice(0, slash))))) changes.add("D", path);
  }
  return changes.sorted();
}

/** Every path of a merged tree, with all that is known of it but its content: what containers/storage compares, too. */
async function treeEntries(engine: Engine, tree: Layers, signal?: AbortSignal): Promise<Map<string, string>> {
  const staged = stagingFolder(storeLayout(engine.root));
  const target = `${staged.path}/merged`;
  const found = new Map<string, string>();
  try {
    mkdirSync(target);
    await packing(tree.identity, mergedOps(target, tree.layers, ["names"]), signal, (records) =>
      eachRecord(records, (bytes) => {
        const record = decodeRecord(bytes);
        const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
        // which of a file's names is the first is no property of the file
        const first = record.kind === RecordKind.HARDLINK ? found.get(text(record.link)) : undefined;
        found.set(text(record.path), first ?? facts(record));
      }),
    );
  } finally {
    rmSync(dirname(target), { recursive: true, force: true });
    staged.release();
  }
  return found;
}

function facts(record: LayerRecord): string {
  const { kind, mode, uid, gid, devMajor, devMinor, mtimeSeconds, mtimeNanoseconds, size } = record;
  const link = kind === RecordKind.SYMLINK ? Buffer.from(record.link).toString("latin1") : "";
  const time = kind === RecordKind.DIRECTORY ? "" : `${mtimeSeconds}.${mtimeNanoseconds}`;
  const xattrs = record.xattrs.map(({ name, value }) => `${name}=${Buffer.from(value).toString("hex")}`).sort();
  return [kind, size, mode, uid, gid, devMajor, devMinor, time, link, ...xattrs].join(" ");
}

function isDirectory(told: string | undefined): boolean {
  return told?.startsWith(`${RecordKind.DIRECTORY} `) ?? false;
}

/** Docker lists a directory with the entries that came or went in it, though nothing else of it has changed. */
class Changes {
  readonly #kinds = new Map<string, Change["kind"]>();

  add(kind: Change["kind"], path: string): void {
    this.#kinds.set(path, kind);
    if (kind === "C") return;
    const slash = path.lastIndexOf("/");
    const parent = path.slice(0, Math.max(slash, 0));
    if (parent !== "" && !this.#kinds.has(parent)) this.#kinds.set(parent, "C");
  }

  /** By bytes. */
  sorted(): Change[] {
    return [...this.#kinds]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([path, kind]) => ({ kind, path: `/${Buffer.from(path, "latin1").toString()}` }));
  }
}
