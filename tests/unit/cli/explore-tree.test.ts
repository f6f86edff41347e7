import { test } from "uvu";
import * as assert from "uvu/assert";
import { buildTree, layerItems, type State, type TreeNode } from "../../../runner/cli/explore/page/tree.ts";
import type { ReportChange } from "../../../runner/cli/explore/shape.ts";

const change = (path: string, kind: ReportChange["change"], more: Partial<ReportChange> = {}): ReportChange => ({
  path,
  change: kind,
  kind: "file",
  size: 1,
  mode: "0644",
  uid: 0,
  gid: 0,
  ...more,
});
const ALL = new Set<State>(["added", "changed", "removed", "below"]);

/** "dir/ (2) [+a ~b]": a node and what is below it. */
function brief({ name, state, count, children }: TreeNode): string {
  const below = children.length > 0 ? `(${count}) [${children.map(brief).join(" ")}]` : "";
  return `${{ added: "+", changed: "~", removed: "-", below: "" }[state]}${name}${below}`;
}

const layers = [
  { changes: [change("etc", "added", { kind: "directory" }), change("etc/a", "added"), change("etc/b", "added")] },
  { changes: [change("etc/a", "changed"), change("etc/b", "removed"), change("opt/x/y", "added")] },
];

test("a layer's tree has its changes and the folders on the way, folders first", () => {
  const tree = buildTree(layerItems(layers, 1, false), { filter: "", shown: ALL });
  assert.is(brief(tree), "/(3) [etc(2) [~a -b] opt(1) [x(1) [+y]]]");
});

test("laid over what is below it shows all that a container sees, and what went", () => {
  const tree = buildTree(layerItems(layers, 1, true), { filter: "", shown: ALL });
  assert.is(brief(tree), "/(4) [etc(3) [~a -b] opt(1) [x(1) [+y]]]");
  assert.is(tree.bytes, 3);
});

test("a filter looks at whole paths, whatever their case", () => {
  const items = layerItems(layers, 1, false);
  assert.is(brief(buildTree(items, { filter: "/OPT/x", shown: ALL })), "/(1) [opt(1) [x(1) [+y]]]");
  assert.is(brief(buildTree(items, { filter: "", shown: new Set<State>(["removed"]) })), "/(1) [etc(1) [-b]]");
});

test("a name cannot hide another that reads the same", () => {
  const twins = [change("d/a\\x1b", "added"), change("d/a\\x1b", "removed", { pathBase64: "ZC9hGw==" })];
  const tree = buildTree(layerItems([{ changes: twins }], 0, false), { filter: "", shown: ALL });
  assert.is(brief(tree), "/(2) [d(2) [+a\\x1b -a\\x1b]]");
});

test.run();
