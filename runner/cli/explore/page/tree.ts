/** The changes of a layer as a tree. Pure: what the page shows is made of this. */

import type { ReportChange } from "../shape.ts";

export type State = ReportChange["change"] | "below";

export interface TreeNode {
  name: string;
  path: string;
  /** Absent: a directory on the way, of which the layer says nothing. */
  change?: ReportChange;
  state: State;
  children: TreeNode[];
  /** Bytes of the files below, and how many changes there are. */
  bytes: number;
  count: number;
}

export interface TreeOptions {
  /** Part of a path. */
  filter: string;
  shown: ReadonlySet<State>;
}

/** What a layer changed; with `below`, laid over everything that stands under it. */
export function layerItems(
  layers: readonly { changes: readonly ReportChange[] }[],
  index: number,
  below: boolean,
): Map<string, { change: ReportChange; state: State }> {
  const items = new Map<string, { change: ReportChange; state: State }>();
  for (const { changes } of below ? layers.slice(0, index) : []) {
    for (const change of changes) {
      if (change.change === "removed") items.delete(keyOf(change));
      else items.set(keyOf(change), { change, state: "below" });
    }
  }
  for (const change of layers[index]?.changes ?? []) items.set(keyOf(change), { change, state: change.change });
  return items;
}

/** Two names may read the same, as a byte and its `\\xNN`: neither may hide the other. */
function keyOf({ path, pathBase64 }: ReportChange): string {
  return `${path}\0${pathBase64 ?? ""}`;
}

export function buildTree(items: Map<string, { change: ReportChange; state: State }>, options: TreeOptions): TreeNode {
  const root: TreeNode = { name: "/", path: "", state: "below", children: [], bytes: 0, count: 0 };
  const nodes = new Map<string, TreeNode>([["", root]]);
  const wanted = options.filter.toLowerCase();
  const reach = (path: string): TreeNode => {
    const known = nodes.get(path);
    if (known) return known;
    const cut = path.lastIndexOf("/");
    const node: TreeNode = { name: path.slice(cut + 1), path, state: "below", children: [], bytes: 0, count: 0 };
    nodes.set(path, node);
    reach(cut < 0 ? "" : path.slice(0, cut)).children.push(node);
    return node;
  };
  for (const { change, state } of items.values()) {
    const { path } = change;
    if (!options.shown.has(state) || !`/${path}`.toLowerCase().includes(wanted)) continue;
    let node = reach(path);
    if (node.change) {
      node = { ...node, children: [] };
      reach(path.slice(0, Math.max(0, path.lastIndexOf("/")))).children.push(node);
    }
    node.change = change;
    node.state = state;
  }
  sum(root);
  return root;
}

function sum(node: TreeNode): void {
  node.bytes = node.change?.kind === "file" ? node.change.size : 0;
  node.count = node.change ? 1 : 0;
  for (const child of node.children) {
    sum(child);
    node.bytes += child.bytes;
    node.count += child.count;
  }
  // directories first, each kind by name
  node.children.sort(
    (a, b) => Number(isFolder(b)) - Number(isFolder(a)) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
}

export function isFolder(node: TreeNode): boolean {
  return node.children.length > 0 || node.change === undefined || node.change.kind === "directory";
}
