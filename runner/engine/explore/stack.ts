/**
 * Layers laid on each other: what each did to the tree below it, and which bytes nobody sees any more. Pure: listings in, changes out.
 *
 * Wasted are the bytes of files that a layer stores and a later one overwrites or removes: they are transferred and kept, and no container
 * sees them. Efficiency is 1 - wasted / stored. A hard link is another name of the same bytes: they are wasted when the last name is gone.
 */
import type { FileKind, ListedEntry } from "./listing.ts";
import type { BytePath } from "./names.ts";

/** A file of the tree as it stands after some layer. */
export interface TreeFile {
  kind: FileKind;
  mode: number;
  uid: number;
  gid: number;
  mtime: number;
  size: number;
  digest: string;
  link: string;
  xattrs: string;
  /** Number of the layer that put it there, from 0. */
  layer: number;
  /** Where its bytes are: a hard link's are its target's. */
  content?: Content;
}

/** Bytes that a layer stores. */
export interface Content {
  layer: number;
  path: BytePath;
  /** Of entries with this path in that layer, the how-manieth. */
  occurrence: number;
  size: number;
  digest: string;
  /** Names in the tree that show it. */
  names: number;
}

export type Aspect = "type" | "content" | "link" | "mode" | "owner" | "time" | "attributes";

export interface Change {
  path: BytePath;
  change: "added" | "changed" | "removed";
  before?: TreeFile;
  after?: TreeFile;
  /** Of a change: what differs; nothing: an identical copy. */
  aspects: Aspect[];
}

export interface StackedLayer {
  /** By path. */
  changes: Change[];
  /** Bytes of the files that the layer stores. */
  bytes: number;
  files: number;
}

export interface Waste {
  path: BytePath;
  bytes: number;
  versions: { layer: number; size: number; by: number; how: "overwritten" | "removed" }[];
}

export interface Stack {
  layers: StackedLayer[];
  /** What a container sees. */
  tree: Map<BytePath, TreeFile>;
  /** After which layers a path looked how; undefined: not there. */
  versions: Map<BytePath, { layer: number; file: TreeFile | undefined }[]>;
  contents: Content[];
  stored: number;
  wasted: number;
  /** Largest first. */
  waste: Waste[];
}

interface Node {
  file?: TreeFile;
  children: Map<string, Node>;
}

export function stackLayers(listings: readonly (readonly ListedEntry[])[]): Stack {
  const root: Node = { children: new Map() };
  const stack: Stack = {
    layers: [],
    tree: new Map(),
    versions: new Map(),
    contents: [],
    stored: 0,
    wasted: 0,
    waste: [],
  };
  const waste = new Map<BytePath, Waste>();

  listings.forEach((listing, layer) => {
    const before = new Map<BytePath, TreeFile>();
    const after = new Map<BytePath, TreeFile>();

    const drop = (file: TreeFile, how: "overwritten" | "removed") => {
      const { content } = file;
      if (!content || --content.names > 0 || content.size === 0) return;
      const found = waste.get(content.path) ?? { path: content.path, bytes: 0, versions: [] };
      found.bytes += content.size;
      found.versions.push({ layer: content.layer, size: content.size, by: layer, how });
      waste.set(content.path, found);
      stack.wasted += content.size;
    };
    const forget = (path: BytePath, file: TreeFile, how: "overwritten" | "removed") => {
      drop(file, how);
      // what the layer itself put there was never part of the tree below
      if (after.get(path) === file) after.delete(path);
      else if (!before.has(path)) before.set(path, file);
    };
    const removeBelow = (node: Node, path: BytePath) => {
      for (const [name, child] of node.children) removeNode(child, path === "" ? name : `${path}/${name}`);
      node.children.clear();
    };
    const removeNode = (node: Node, path: BytePath) => {
      if (node.file) forget(path, node.file, "removed");
      removeBelow(node, path);
    };
    /** The node of a path; what stands in the way of its parents as no directory is gone. */
    const reach = (path: BytePath): Node => {
      let node = root;
      let at = "";
      for (const name of path.split("/")) {
        if (node.file && node.file.kind !== "directory") {
          forget(at, node.file, "overwritten");
          delete node.file;
        }
        at = at === "" ? name : `${at}/${name}`;
        let child = node.children.get(name);
        if (!child) {
          child = { children: new Map() };
          node.children.set(name, child);
        }
        node = child;
      }
      return node;
    };

    // what layers below lose comes first, wherever in the archive it stands
    for (const { path, kind } of listing) {
      if (kind === "whiteout") {
        const node = find(root, path);
        if (!node) continue;
        removeNode(node, path);
        const at = path.lastIndexOf("/");
        find(root, at < 0 ? "" : path.slice(0, at))?.children.delete(path.slice(at + 1));
      } else if (kind === "opaque") {
        const node = find(root, path);
        if (node) removeBelow(node, path);
      }
    }
    const seen = new Map<BytePath, number>();
    let bytes = 0;
    let files = 0;
    for (const entry of listing) {
      const { path, kind } = entry;
      if (kind === "whiteout" || kind === "opaque" || path === "") continue;
      const occurrence = seen.get(path) ?? 0;
      seen.set(path, occurrence + 1);
      files++;
      const file = fileOf(entry, kind, layer);
      if (kind === "file") {
        file.content = { layer, path, occurrence, size: entry.size, digest: entry.digest, names: 1 };
        stack.contents.push(file.content);
        bytes += entry.size;
      } else if (kind === "hardlink") {
        const target = find(root, entry.link.replace(/^(\.?\/)+/, ""))?.file;
        if (target?.content) {
          Object.assign(file, { kind: "file", size: target.size, digest: target.digest, content: target.content });
          target.content.names++;
        }
      }
      const node = reach(path);
      if (kind !== "directory") removeBelow(node, path);
      if (node.file) forget(path, node.file, "overwritten");
      node.file = file;
      after.set(path, file);
    }
    stack.stored += bytes;
    stack.layers.push({ bytes, files, changes: changesOf(before, after, false) });
    for (const { path, after: file } of stack.layers[layer]?.changes ?? []) {
      const known = stack.versions.get(path);
      if (known) known.push({ layer, file });
      else stack.versions.set(path, [{ layer, file }]);
    }
  });

  collect(root, "", stack.tree);
  stack.waste = [...waste.values()].sort((a, b) => b.bytes - a.bytes || (a.path < b.path ? -1 : 1));
  return stack;
}

function fileOf(entry: ListedEntry, kind: FileKind, layer: number): TreeFile {
  const { mode, uid, gid, mtime, size, digest, link, xattrs } = entry;
  return { kind, mode, uid, gid, mtime, size, digest, link, xattrs, layer };
}

function find(root: Node, path: BytePath): Node | undefined {
  let node: Node | undefined = root;
  if (path === "") return node;
  for (const name of path.split("/")) {
    node = node.children.get(name);
    if (!node) return undefined;
  }
  return node;
}

function collect(node: Node, path: BytePath, into: Map<BytePath, TreeFile>): void {
  if (node.file) into.set(path, node.file);
  for (const [name, child] of node.children) collect(child, path === "" ? name : `${path}/${name}`, into);
}

/** From one tree, or part of one, to another. `quiet`: a file whose bytes and rights are the same has not changed. */
export function changesOf(
  before: ReadonlyMap<BytePath, TreeFile>,
  after: ReadonlyMap<BytePath, TreeFile>,
  quiet: boolean,
): Change[] {
  const changes: Change[] = [];
  for (const [path, file] of after) {
    const old = before.get(path);
    if (!old) {
      changes.push({ path, change: "added", after: file, aspects: [] });
      continue;
    }
    const aspects = differences(old, file);
    // archives name the directories on the way to their files again; that is no change, nor is a time that follows from one below
    const same = aspects.every((aspect) => aspect === "time");
    if (same && (quiet || file.kind === "directory")) continue;
    changes.push({ path, change: "changed", before: old, after: file, aspects });
  }
  for (const [path, file] of before) {
    if (!after.has(path)) changes.push({ path, change: "removed", before: file, aspects: [] });
  }
  return changes.sort((a, b) => (a.path < b.path ? -1 : 1));
}

function differences(a: TreeFile, b: TreeFile): Aspect[] {
  const found: Aspect[] = [];
  if (a.kind !== b.kind) found.push("type");
  else if (a.size !== b.size || a.digest !== b.digest) found.push("content");
  else if (a.kind !== "file" && a.link !== b.link) found.push("link");
  if (a.mode !== b.mode && b.kind !== "symlink") found.push("mode");
  if (a.uid !== b.uid || a.gid !== b.gid) found.push("owner");
  if (a.mtime !== b.mtime) found.push("time");
  if (a.xattrs !== b.xattrs) found.push("attributes");
  return found;
}
