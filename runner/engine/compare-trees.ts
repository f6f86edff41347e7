import { decodeRecord, type LayerRecord, RecordKind } from "../layers/abi.ts";
import { eachEntry, eachRecord } from "../layers/records.ts";
import { containerTreeOp } from "./container-tree.ts";
import type { Change, Layers } from "./diff.ts";
import { packing } from "./pack-layer.ts";

/** What has to change in the tree `from` to make `to` of it. Sorted by path. */
export async function compareTrees(from: Layers, to: Layers, signal?: AbortSignal): Promise<Change[]> {
  const before = await treeEntries(from, signal);
  const after = await treeEntries(to, signal);
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

/**
 * What the topmost layer changed in those below, where overlay did not make it: a container's tree may be a copy, and fuse-overlayfs and poor file
 * systems have marks of their own, which `pack` knows.
 */
export async function changesByRecords(tree: Layers, signal?: AbortSignal): Promise<Change[]> {
  const [upper = "", ...lowers] = tree.layers;
  const flags = ["names", ...(tree.whole ? ["whole"] : [])];
  const changes = new Changes();
  await packing(tree.identity, [{ op: "pack", root: upper, init: tree.init, flags, lowers }], signal, (records) =>
    eachEntry(records, ({ path, kind, below, same }) => {
      if (path === "") return;
      if (kind === RecordKind.WHITEOUT) changes.add("D", path);
      else if (below === 0) changes.add("A", path);
      else if (!same) changes.add("C", path);
    }),
  );
  return changes.sorted();
}

/** Every path of a merged tree, with all that is known of it but its content: what containers/storage compares, too. */
async function treeEntries(tree: Layers, signal?: AbortSignal): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  const [upper = "", ...lowers] = tree.layers;
  const op = containerTreeOp({ ...tree, upper, lowers }, ["names"]);
  await packing(tree.identity, [op], signal, (records) =>
    eachRecord(records, (bytes) => {
      const record = decodeRecord(bytes);
      const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("latin1");
      // which of a file's names is the first is no property of the file
      const first = record.kind === RecordKind.HARDLINK ? found.get(text(record.link)) : undefined;
      found.set(text(record.path), first ?? facts(record));
    }),
  );
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
