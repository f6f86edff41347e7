import { createHash } from "node:crypto";
import { TsboxError, visible } from "../base/error.ts";
import { layerRecord, RecordKind } from "../layers/abi.ts";
import type { OutgoingEntry } from "../layers/writer.ts";
import type { Found, SourceEntry, SourceTree } from "./context/source-tree.ts";
import { ignoreOf } from "./ignore.ts";
import type { EntryGroup } from "./make-layer.ts";
import type { ModeChange } from "./mode.ts";
import type { LayeredTree, TreeNode } from "./tree/layered-tree.ts";
import type { TreeSource } from "./tree-source.ts";

/** One thing to copy: a place of a tree with all below it, a text of the Dockerfile, something fetched, an archive to be taken apart. */
export type CopySource =
  | TreeSource
  | { kind: "text"; name: string; content: Buffer }
  | { kind: "file"; name: string; entry: SourceEntry }
  /** Entries are made anew each time they are asked for. */
  | { kind: "archive"; name: string; digest: () => string; entries: () => AsyncIterable<OutgoingEntry> };

export interface CopyRequest {
  sources: CopySource[];
  /** Absolute; a slash at its end says that it is a folder. */
  dest: string;
  /** The destination is a folder, whatever is there. */
  intoFolder: boolean;
  owner?: { uid: number; gid: number };
  mode?: ModeChange;
  parents: boolean;
  /** For folders that have to be made; seconds. */
  time: number;
}

/** All entries of what was found, without those that `exclude` names (relative to it). */
export async function collect(tree: SourceTree, found: Found, exclude: string[]): Promise<SourceEntry[]> {
  const unwanted = ignoreOf(exclude);
  const start =
    found.kind === "directory" ? (found.path === "" ? 0 : found.path.length + 1) : found.path.lastIndexOf("/") + 1;
  const leaveOut = (path: string) => {
    const relative = path.slice(start);
    return unwanted.any && relative !== "" && unwanted.excludes(relative);
  };
  const entries: SourceEntry[] = [];
  const walk = tree.walk(found, leaveOut);
  if (Array.isArray(walk)) return walk;
  if (Symbol.iterator in walk) return [...walk];
  for await (const entry of walk) entries.push(entry);
  return entries;
}

/** What of the sources counts for a step's key, a line for each. */
export function contentKeys(request: CopyRequest): Promise<string[]> {
  return Promise.all(
    request.sources.map(async (source) =>
      source.kind === "tree" ? `tree ${await source.digest()} ${JSON.stringify(source.named)}` : sourceLine(source),
    ),
  );
}

/** A line for each file: for telling which of them changed. */
export async function contentLines(request: CopyRequest): Promise<string[]> {
  const lines = request.sources.map((source) => (source.kind === "tree" ? source.lines() : [sourceLine(source)]));
  return (await Promise.all(lines)).flat();
}

function sourceLine(source: Exclude<CopySource, TreeSource>): string {
  switch (source.kind) {
    case "text":
      return `text ${source.name} ${sha256(source.content)}`;
    case "archive":
      return `archive ${source.name} ${source.digest()}`;
    case "file":
      return entryLine(source.name, source.entry);
  }
}

export function entryLine(name: string, entry: SourceEntry): string {
  const { kind, mode, uid, gid, link, xattrs } = entry.record;
  const content = kind === RecordKind.SYMLINK ? Buffer.from(link).toString("hex") : (entry.digest?.() ?? "");
  const linked = entry.linked === undefined ? "" : ` = ${JSON.stringify(entry.linked)}`;
  const attributes = xattrs.map(({ name, value }) => ` @${hex(name)}=${hex(value)}`).join("");
  // the name stands last: it may hold anything
  return `${kind} ${mode.toString(8)} ${uid}:${gid} ${content}${linked}${attributes} ${JSON.stringify(name)}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Where Docker's rules lead what is copied, as entries of a layer on `tree`. */
export class CopyLayer {
  readonly #tree: LayeredTree;
  readonly #request: CopyRequest;
  /** Folders that are in the layer or in the tree, by path. */
  readonly #folders = new Set<string>([""]);
  /** Folders that the tree did not have: what is below them is new too. */
  readonly #fresh = new Set<string>();

  constructor(tree: LayeredTree, request: CopyRequest) {
    this.#tree = tree;
    this.#request = request;
  }

  async *entries(): AsyncGenerator<EntryGroup> {
    for (const source of this.#request.sources) {
      if (source.kind === "tree") yield this.#copied(source, await source.entries());
      else if (source.kind === "archive") yield this.#archive(source);
      else yield this.#single(source);
    }
  }

  *#copied(source: TreeSource, entries: SourceEntry[]): Generator<OutgoingEntry> {
    const isFolder = source.found.kind === "directory";
    const named = this.#request.parents ? source.named : (source.named.split("/").at(-1) ?? "");
    if (isFolder) {
      // a folder's content is copied, not the folder; with --parents its place is kept
      const place = yield* this.#folder(this.#request.parents ? named : "");
      yield* this.#below(place, entries);
      return;
    }
    const place = yield* this.#file(named);
    for (const entry of entries) yield this.#entry(place, entry);
  }

  *#single(source: Extract<CopySource, { kind: "text" | "file" }>): Generator<OutgoingEntry> {
    const place = yield* this.#file(source.name);
    if (source.kind === "file") {
      yield this.#entry(place, source.entry);
      return;
    }
    const size = source.content.length;
    const fields = { path: Buffer.from(place), size, data: size, mode: 0o644, mtimeSeconds: this.#request.time };
    yield this.#owned({ record: layerRecord(RecordKind.FILE, fields), content: [source.content] });
  }

  async *#archive(source: Extract<CopySource, { kind: "archive" }>): AsyncGenerator<OutgoingEntry> {
    const place = yield* this.#folder("");
    for await (const entry of source.entries()) {
      const path = Buffer.from(entry.record.path).toString("latin1");
      const at = path === "" ? "" : place === "" ? path : `${Buffer.from(place).toString("latin1")}/${path}`;
      if (at === "") continue;
      const link =
        entry.record.kind === RecordKind.HARDLINK && place !== ""
          ? Buffer.concat([Buffer.from(`${place}/`), entry.record.link])
          : entry.record.link;
      yield this.#owned({ ...entry, record: { ...entry.record, path: Buffer.from(at, "latin1"), link } });
    }
  }

  /** The destination as a folder, with `below` in it; made where it is missing. Returns its path, links followed. */
  *#folder(below: string): Generator<OutgoingEntry, string> {
    const { node, missing } = this.#tree.resolve(below === "" ? this.#request.dest : `${this.#request.dest}/${below}`);
    if (node.kind !== "directory") throw this.#inTheWay(node);
    return yield* this.#make(node.path, missing);
  }

  /** The place of one file: in the destination if that is a folder, otherwise it. */
  *#file(named: string): Generator<OutgoingEntry, string> {
    const { dest, intoFolder, parents } = this.#request;
    const { node, missing } = this.#tree.resolve(dest);
    const isFolder = missing.length === 0 && node.kind === "directory";
    if (intoFolder || parents || dest.endsWith("/") || isFolder) {
      const parts = named.split("/");
      const name = parts.pop() as string;
      const folder = yield* this.#folder(parts.join("/"));
      const place = folder === "" ? name : `${folder}/${name}`;
      // a link that stands there is written through, as cp does it
      const there = this.#tree.resolve(place);
      if (there.missing.length === 0 && there.node.kind === "directory") throw this.#inTheWay(there.node);
      return there.missing.length === 0 ? there.node.path : place;
    }
    if (missing.length === 0) return node.path;
    if (node.kind !== "directory") throw this.#inTheWay(node);
    const name = missing.pop() as string;
    const folder = yield* this.#make(node.path, missing);
    return folder === "" ? name : `${folder}/${name}`;
  }

  *#make(start: string, missing: string[]): Generator<OutgoingEntry, string> {
    let path = start;
    for (const part of missing) {
      path = path === "" ? part : `${path}/${part}`;
      if (this.#folders.has(path)) continue;
      this.#folders.add(path);
      this.#fresh.add(path);
      const { uid, gid } = this.#request.owner ?? { uid: 0, gid: 0 };
      yield {
        record: layerRecord(RecordKind.DIRECTORY, {
          path: Buffer.from(path),
          mode: 0o755,
          uid,
          gid,
          mtimeSeconds: this.#request.time,
        }),
      };
    }
    return path;
  }

  *#below(place: string, entries: SourceEntry[]): Generator<OutgoingEntry> {
    for (const entry of entries) {
      if (entry.path === "") {
        // what is copied is what the folder holds: the destination is made as any parent is, but for what --chmod says
        if (this.#fresh.has(place) && (this.#request.mode || this.#request.parents)) yield this.#entry(place, entry);
        continue;
      }
      const path = place === "" ? entry.path : `${place}/${entry.path}`;
      const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
      const isFolder = entry.record.kind === RecordKind.DIRECTORY;
      if (this.#fresh.has(folder)) {
        if (isFolder) this.#fresh.add(path);
      } else {
        const there = this.#tree.lookup(path, false);
        if (there && isFolder !== (there.kind === "directory")) throw this.#inTheWay(there);
        if (isFolder) {
          // one that is there gets the source's mode and owner, as in BuildKit
          if (!there) this.#fresh.add(path);
        }
      }
      if (entry.linked === undefined) yield this.#entry(path, entry);
      else yield this.#hardLink(path, place === "" ? entry.linked : `${place}/${entry.linked}`, entry);
    }
  }

  #hardLink(path: string, link: string, { record }: SourceEntry): OutgoingEntry {
    const fields = { ...record, size: 0, data: 0, path: Buffer.from(path), link: Buffer.from(link) };
    return this.#owned({ record: { ...fields, kind: RecordKind.HARDLINK } });
  }

  #entry(path: string, entry: SourceEntry): OutgoingEntry {
    const content = entry.content?.();
    return this.#owned({ record: { ...entry.record, path: Buffer.from(path) }, ...(content && { content }) });
  }

  #owned(entry: OutgoingEntry): OutgoingEntry {
    const { owner, mode } = this.#request;
    const isLink = entry.record.kind === RecordKind.SYMLINK;
    return {
      ...entry,
      record: { ...entry.record, ...owner, ...(mode && !isLink && { mode: mode(entry.record) }) },
    };
  }

  #inTheWay(node: TreeNode): TsboxError {
    const what = node.kind === "directory" ? "a folder" : node.kind === "symlink" ? "a link" : "a file";
    return new TsboxError(`"/${visible(node.path)}" of the image is ${what}`, { code: "IN_THE_WAY" });
  }
}
