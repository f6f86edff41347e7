import { createHash } from "node:crypto";
import { closeSync, lstatSync, openSync, readlinkSync, readSync, type Stats } from "node:fs";
import { join } from "node:path";
import { TsboxError, visible } from "../../base/error.ts";
import { type LayerRecord, layerRecord, RecordKind } from "../../layers/abi.ts";
import type { Identity } from "../../plan/idmap.ts";
import type { IdRange } from "../../plan/types.ts";
import { attributesOf } from "../attributes.ts";
import type { Found, SourceEntry, SourceTree } from "../context/source-tree.ts";
import { cleanPath, hasWildcards, matchesName } from "../glob.ts";
import { LayeredTree, type TreeNode } from "./layered-tree.ts";

/** A stage or an image that files are copied from: they keep their owners. */
export class LayerSource implements SourceTree {
  readonly name: string;
  #tree: LayeredTree;
  /** Where a folder's content can be read; absent: in the layers themselves. */
  #spool: ((folder: string) => Promise<string>) | undefined;
  readonly lowers: readonly string[];
  readonly #identity: Identity;

  /** Names the whole tree, if anything does. */
  readonly key: string | undefined;

  constructor(lowers: readonly string[], identity: Identity, name: string, key?: string) {
    this.key = key;
    this.lowers = lowers;
    this.#tree = new LayeredTree(lowers);
    this.#identity = identity;
    this.name = name;
  }

  find(pattern: string): Found[] {
    // above "/" there is nothing else than "/"
    const clean = cleanPath(pattern) ?? cleanPath(pattern.replace(/\.\.(\/|$)/g, "")) ?? "";
    if (!hasWildcards(clean)) {
      const node = this.#tree.lookup(clean);
      return node ? [{ path: node.path, named: clean, kind: node.kind }] : [];
    }
    return this.#glob(clean.split("/"), "", "");
  }

  #glob(parts: string[], at: string, named: string): Found[] {
    const [part, ...rest] = parts;
    if (part === undefined) return [];
    const names = hasWildcards(part) ? this.#tree.list(at).filter((name) => matchesName(part, name)) : [part];
    return names.flatMap((name): Found[] => {
      const node = this.#tree.lookup(join(at, name));
      if (!node) return [];
      const path = join(named, name);
      if (rest.length === 0) return [{ path: node.path, named: path, kind: node.kind }];
      return node.kind === "directory" ? this.#glob(rest, node.path, path) : [];
    });
  }

  /** From now on everything is read inside the user namespace: some of it is closed to the caller. */
  async readInside(newFolder: () => string, signal: AbortSignal): Promise<void> {
    const { indexTree, spoolTree } = await import("./index-tree.ts");
    const identity = this.#identity;
    this.#tree = new LayeredTree(this.lowers, await indexTree(identity, this.lowers, newFolder(), signal));
    const spools = new Map<string, Promise<string>>();
    this.#spool = (folder) => {
      const made = spools.get(folder) ?? spoolTree(identity, this.lowers, newFolder(), folder, signal);
      spools.set(folder, made);
      return made;
    };
  }

  get readsInside(): boolean {
    return this.#spool !== undefined;
  }

  async *walk(found: Found, leaveOut: (path: string) => boolean): AsyncGenerator<SourceEntry> {
    const node = this.#tree.lookup(found.path, false);
    if (!node) return;
    const folder = node.kind === "directory" ? node.path : node.path.split("/").slice(0, -1).join("/");
    const spool = await this.#spool?.(folder);
    const fileOf = (path: string) =>
      spool === undefined ? this.#tree.fileOf(path) : join(spool, folder === "" ? path : path.slice(folder.length + 1));
    yield* this.#walk(node, "", { leaveOut, fileOf, first: new Map() });
  }

  *#walk(node: TreeNode, below: string, walk: Walk): Generator<SourceEntry> {
    if (node.path !== "" && walk.leaveOut(node.path)) return;
    if (node.kind === "other") return;
    yield this.#entry(node, below, walk);
    if (node.kind !== "directory") return;
    for (const name of this.#list(node.path)) {
      const child = this.#tree.lookup(join(node.path, name), false);
      if (child) yield* this.#walk(child, below === "" ? name : `${below}/${name}`, walk);
    }
  }

  #list(path: string): string[] {
    try {
      return this.#tree.list(path);
    } catch (cause) {
      throw unreadable(path, this.name, cause);
    }
  }

  #entry(node: TreeNode, below: string, { fileOf, first }: Walk): SourceEntry {
    const file = fileOf(node.path);
    const stats = lstatSync(file);
    const common: Partial<LayerRecord> = {
      path: Buffer.from(below),
      mode: node.mode,
      ...(node.owner ?? ownerOf(stats, this.#identity)),
      ...(node.kind !== "symlink" && { xattrs: attributesOf(file, outsideRoot(this.#identity)) }),
    };
    if (node.kind === "directory") return { path: below, record: layerRecord(RecordKind.DIRECTORY, common) };
    if (node.kind === "symlink") {
      const link = node.owner ? Buffer.from(node.link ?? "") : readlinkSync(file, { encoding: "buffer" });
      return { path: below, record: layerRecord(RecordKind.SYMLINK, { ...common, mode: 0o777, link }) };
    }
    const inode = stats.nlink > 1 ? `${stats.dev}:${stats.ino}` : undefined;
    const linked = inode === undefined ? undefined : first.get(inode);
    if (inode !== undefined && linked === undefined) first.set(inode, below);
    return {
      path: below,
      ...(linked !== undefined && { linked }),
      record: layerRecord(RecordKind.FILE, { ...common, size: node.size, data: node.size }),
      digest: () => {
        const hash = createHash("sha256");
        for (const chunk of content(file, node, this.name)) hash.update(chunk);
        return hash.digest("hex");
      },
      content: () => content(file, node, this.name),
    };
  }
}

/** What one walk keeps in mind: where files are read, and which name of an inode came first. */
interface Walk {
  leaveOut: (path: string) => boolean;
  fileOf: (path: string) => string;
  first: Map<string, string>;
}

const CHUNK = 1 << 20;

function* content(file: string, node: TreeNode, source: string): Generator<Uint8Array> {
  let fd: number;
  try {
    fd = openSync(file, "r");
  } catch (cause) {
    throw unreadable(node.path, source, cause);
  }
  try {
    for (let left = node.size; left > 0; ) {
      const buffer = Buffer.allocUnsafe(Math.min(left, CHUNK));
      const count = readSync(fd, buffer, 0, buffer.length, null);
      if (count === 0) break;
      left -= count;
      yield buffer.subarray(0, count);
    }
  } finally {
    closeSync(fd);
  }
}

function unreadable(path: string, source: string, cause: unknown): TsboxError {
  return new TsboxError(
    `Cannot copy "/${visible(path)}" from ${source}: ${(cause as NodeJS.ErrnoException).code ?? (cause as Error).message}`,
    { code: "UNREADABLE", cause, hint: "it belongs to another user than root and only that one may read it" },
  );
}

function outsideRoot({ uidMap }: Identity): number {
  const range = uidMap.find(({ inside }) => inside === 0);
  return range?.outside ?? 0;
}

function ownerOf(stats: Stats, { uidMap, gidMap }: Identity): NonNullable<TreeNode["owner"]> {
  const seconds = Math.floor(stats.mtimeMs / 1000);
  return { uid: insideID(uidMap, stats.uid), gid: insideID(gidMap, stats.gid), mtimeSeconds: seconds };
}

function insideID(map: IdRange[], outside: number): number {
  const range = map.find((one) => outside >= one.outside && outside < one.outside + one.count);
  return range ? range.inside + outside - range.outside : 0;
}
