import { lstatSync, readdirSync, readlinkSync, type Stats } from "node:fs";
import { join } from "node:path";
import { getXattr } from "../../sys/native.ts";

export type EntryKind = "directory" | "file" | "symlink" | "other";

/** What stands at a path of a tree. */
export interface TreeNode {
  /** Without a slash at the start; the root is "". No component is a link, but the last may be. */
  path: string;
  kind: EntryKind;
  mode: number;
  size: number;
  link?: string;
  /** Ids inside and seconds since 1970, where the tree was read there (index-tree.ts). */
  owner?: { uid: number; gid: number; mtimeSeconds: number };
}

/** Why a path cannot be followed. */
export type LookupProblem = "loop" | "not-directory";

const MAX_LINKS = 40;

/**
 * The merged view of unpacked layers without a mount, for the few questions that a build has: what stands at a path, where do links lead. It
 * follows overlay's rules: a whiteout hides, an opaque folder hides what is below it in lower layers.
 */
export class LayeredTree {
  readonly #lowers: readonly string[];

  readonly #index: ReadonlyMap<string, TreeNode> | undefined;

  /** Topmost first. With `index` nothing is looked at on the disk. */
  constructor(lowers: readonly string[], index?: ReadonlyMap<string, TreeNode>) {
    this.#lowers = lowers;
    this.#index = index;
  }

  /** The node at a path whose links are followed, the last one only if asked; missing ones are undefined. */
  lookup(path: string, followLast = true): TreeNode | undefined {
    const found = this.resolve(path, followLast);
    return found.missing.length === 0 ? found.node : undefined;
  }

  /**
   * Follows a path as far as it goes, as if the tree were `/`: the node that was reached, and the components that are missing below it. A component
   * behind something that is no folder counts as missing.
   */
  resolve(path: string, followLast = true): { node: TreeNode; missing: string[] } {
    let node = this.#node("") as TreeNode;
    const rest = path.split("/").filter((part) => part !== "" && part !== ".");
    for (let links = 0; rest.length > 0; ) {
      const part = rest.shift() as string;
      if (part === "..") {
        node = this.#node(node.path.split("/").slice(0, -1).join("/")) as TreeNode;
        continue;
      }
      const next = node.kind === "directory" ? this.#node(join(node.path, part)) : undefined;
      if (!next) return { node, missing: [part, ...rest] };
      if (next.kind !== "symlink" || (rest.length === 0 && !followLast)) {
        node = next;
        continue;
      }
      if (++links > MAX_LINKS) return { node, missing: [part, ...rest] };
      const target = next.link as string;
      if (target.startsWith("/")) node = this.#node("") as TreeNode;
      rest.unshift(...target.split("/").filter((one) => one !== "" && one !== "."));
    }
    return { node, missing: [] };
  }

  /** The file of a layer that shows what stands at a path without links. */
  fileOf(path: string): string {
    const found = this.#top(path);
    if (!found) throw new RangeError(`nothing stands at ${path}`);
    return found.file;
  }

  /** Names in a folder (a path without links). */
  list(path: string): string[] {
    if (this.#index) {
      const start = path === "" ? "" : `${path}/`;
      const below = [...this.#index.keys()].filter((one) => one !== "" && one.startsWith(start));
      return below.map((one) => one.slice(start.length)).filter((name) => name !== "" && !name.includes("/"));
    }
    const names = new Map<string, boolean>();
    for (const folder of this.#top(path)?.folders ?? []) {
      for (const name of readdirSync(folder)) {
        if (!names.has(name)) names.set(name, stateOf(join(folder, name)) !== "hidden");
      }
    }
    return [...names].flatMap(([name, there]) => (there ? [name] : [])).sort();
  }

  /** One component after the other, from the top layer that has a say in it. */
  #node(path: string): TreeNode | undefined {
    if (this.#index) return this.#index.get(path);
    const top = this.#top(path);
    if (top) return nodeOf(path, top.stats, top.file);
    return path === "" ? { path: "", kind: "directory", mode: 0o755, size: 0 } : undefined;
  }

  #top(path: string): { stats: Stats; file: string; folders: string[] } | undefined {
    const parts = path === "" ? [] : path.split("/");
    let layers = this.#lowers;
    for (let depth = 0; depth <= parts.length; depth++) {
      const at = parts.slice(0, depth).join("/");
      const next: string[] = [];
      let top: { stats: Stats; file: string; folders: string[] } | undefined;
      for (const lower of layers) {
        const file = join(lower, at);
        const state = stateOf(file);
        if (state === undefined) continue;
        if (state === "hidden") break;
        top ??= { stats: state, file, folders: [] };
        if (!state.isDirectory()) break;
        if (!top.stats.isDirectory()) break;
        top.folders.push(file);
        next.push(lower);
        if (isOpaque(file)) break;
      }
      if (!top || depth === parts.length) return top;
      if (!top.stats.isDirectory()) return undefined;
      layers = next;
    }
    return undefined;
  }
}

function nodeOf(path: string, stats: Stats, file: string): TreeNode {
  const common = { path, mode: stats.mode & 0o7777, size: stats.size };
  if (stats.isDirectory()) return { ...common, kind: "directory" };
  if (stats.isSymbolicLink()) return { ...common, kind: "symlink", link: readlinkSync(file) };
  return { ...common, kind: stats.isFile() ? "file" : "other" };
}

function stateOf(file: string): Stats | "hidden" | undefined {
  const stats = lstatSync(file, { throwIfNoEntry: false });
  if (!stats) return undefined;
  return isWhiteout(file, stats) ? "hidden" : stats;
}

/** By a device, or where none can be made by an attribute, or where there are none by a link (helper-c/apply_view.c). */
function isWhiteout(file: string, stats: Stats): boolean {
  if (stats.isCharacterDevice()) return stats.rdev === 0;
  if (stats.isSymbolicLink()) return stats.size === WHITEOUT_LINK.length && readlinkSync(file) === WHITEOUT_LINK;
  return stats.isFile() && stats.size === 0 && hasXattr(file, "user.overlay.whiteout");
}

const WHITEOUT_LINK = "(tsbox: this name was removed by the layer)";

function hasXattr(file: string, name: string): boolean {
  try {
    return getXattr(file, name) !== undefined;
  } catch {
    return false;
  }
}

function isOpaque(folder: string): boolean {
  try {
    return getXattr(folder, "user.overlay.opaque")?.toString() === "y";
  } catch {
    return false; // not ours to read: what is made here has readable folders
  }
}
