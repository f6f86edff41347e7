import { mkdirSync, rmSync } from "node:fs";
import { dirname } from "node:path";
import { TsboxError } from "../base/error.ts";
import type { ContainerRecord } from "../container/record.ts";
import { decodeRecord, type LayerRecord, RecordKind } from "../layers/abi.ts";
import { eachEntry, eachRecord } from "../layers/records.ts";
import type { Identity } from "../plan/idmap.ts";
import type { Op } from "../plan/types.ts";
import { storeLayout } from "../store/layout.ts";
import { stagingFolder } from "../store/staging.ts";
import { containerTree, mergedOps } from "./container-tree.ts";
import type { Engine } from "./engine.ts";
import { packing } from "./pack-layer.ts";
import { resolveImage } from "./resolve-image.ts";
import { findImage, noSuchImage } from "./stored-image.ts";

/** `A`dded, `C`hanged, `D`eleted. */
export interface Change {
  kind: "A" | "C" | "D";
  /** From "/" on. */
  path: string;
}

/** What a word on the command line names: layers, topmost first, and what is between the first and the second. */
interface Layers {
  layers: string[];
  init: string;
  identity: Identity;
}

/**
 * What a container changed in its image, or an image's last layer in those below; with a second word, what has to change in that one to become the
 * first. Sorted by path.
 */
export async function diff(engine: Engine, word: string, than?: string, signal?: AbortSignal): Promise<Change[]> {
  const changed = await layersOf(engine, word);
  if (than !== undefined) return compareTrees(engine, await layersOf(engine, than), changed, signal);
  const [upper = "", ...lowers] = changed.layers;
  const op: Op = { op: "pack", root: upper, init: changed.init, flags: ["names"], lowers };
  const changes = new Changes();
  await packing(changed.identity, [op], signal, (records) =>
    eachEntry(records, ({ path, kind, below, same }) => {
      if (path === "") return;
      if (kind === RecordKind.WHITEOUT) changes.add("D", path);
      else if (below === 0) changes.add("A", path);
      else if (!same) changes.add("C", path);
    }),
  );
  return changes.sorted();
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

async function layersOf(engine: Engine, word: string): Promise<Layers> {
  const record = findContainer(engine, word);
  if (record) {
    const { upper, lowers, init, identity } = containerTree(engine, record, "compare");
    return { layers: [upper, ...lowers], init, identity };
  }
  if (!findImage(engine, word)) throw noSuchImage(word);
  const identity = engine.identity();
  const { lowers } = await resolveImage(engine, word, { policy: "never", identity });
  return { layers: lowers, init: "", identity };
}

function findContainer(engine: Engine, word: string): ContainerRecord | undefined {
  try {
    return engine.containers.find(word);
  } catch (error) {
    if (error instanceof TsboxError && error.code === "NO_SUCH_CONTAINER") return undefined;
    throw error;
  }
}

async function compareTrees(engine: Engine, from: Layers, to: Layers, signal?: AbortSignal): Promise<Change[]> {
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
    if (!after.has(path) && (slash < 0 || after.has(path.slice(0, slash)))) changes.add("D", path);
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
        found.set(Buffer.from(record.path).toString("latin1"), facts(record));
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
  // which of a file's names is the first is no property of the file
  const link = kind === RecordKind.SYMLINK ? Buffer.from(record.link).toString("latin1") : "";
  const time = kind === RecordKind.DIRECTORY ? "" : `${mtimeSeconds}.${mtimeNanoseconds}`;
  const what = kind === RecordKind.HARDLINK ? [RecordKind.FILE] : [kind, size];
  const xattrs = record.xattrs.map(({ name, value }) => `${name}=${Buffer.from(value).toString("hex")}`).sort();
  return [mode, uid, gid, devMajor, devMinor, time, link, ...what, ...xattrs].join(" ");
}
