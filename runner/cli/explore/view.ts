/** The browser's screen and keys, pure: a state and a key give a state, a state and a size give lines. */

import { visible } from "../../base/error.ts";
import { shortId } from "../table.ts";
import { humanSize } from "../units.ts";
import { buildTree, isFolder, layerItems, type State, type TreeNode } from "./page/tree.ts";
import type { ReportChange } from "./shape.ts";
import { paintDiff, painter } from "./text.ts";

export interface BrowserLayer {
  title: string;
  instruction: string;
  size: number;
  changes: ReportChange[];
}

export interface Browser {
  heading: string;
  layers: BrowserLayer[];
  pane: "layers" | "tree";
  layer: number;
  /** Of the tree's visible rows. */
  row: number;
  /** Paths that are opened. */
  open: Set<string>;
  below: boolean;
  filter: string;
  /** The filter is being typed. */
  typing: boolean;
  /** Made from the above, kept as long as it serves. */
  tree?: TreeNode;
  /** A file that was chosen: whoever has the files is to fill the pager. */
  chosen?: Chosen;
  /** Over everything else. */
  pager?: Pager;
}

export interface Chosen {
  /** Of the browser's layers. */
  layer: number;
  path: string;
  /** The layer says nothing of it: it is seen through it. */
  below: boolean;
}

/** Text to page through: a diff. */
export interface Pager {
  title: string;
  lines: string[];
  /** The first line that is seen. */
  top: number;
}

export type Key = { name: string } | { text: string };

/** So few changes are shown opened. */
const OPEN_AT_FIRST = 40;

export function openBrowser(heading: string, layers: BrowserLayer[]): Browser {
  const browser: Browser = {
    heading,
    layers,
    pane: "layers",
    layer: Math.min(1, layers.length - 1),
    row: 0,
    open: new Set(),
    below: false,
    filter: "",
    typing: false,
  };
  renew(browser);
  return browser;
}

function renew(browser: Browser): void {
  const shown = new Set<State>(["added", "changed", "removed", ...(browser.below ? (["below"] as const) : [])]);
  const items = layerItems(browser.layers, browser.layer, browser.below);
  const tree = buildTree(items, { filter: browser.filter, shown });
  browser.tree = tree;
  browser.open.clear();
  browser.row = 0;
  if (tree.count <= OPEN_AT_FIRST || browser.filter !== "") openAll(tree, browser.open, 500);
}

function openAll(node: TreeNode, open: Set<string>, budget: number): number {
  let left = budget - node.children.length;
  for (const child of node.children) {
    if (left <= 0 || child.children.length === 0) continue;
    open.add(child.path);
    left = openAll(child, open, left);
  }
  return left;
}

interface Row {
  node: TreeNode;
  depth: number;
}

function visibleRows(browser: Browser): Row[] {
  const rows: Row[] = [];
  const visit = (node: TreeNode, depth: number) => {
    rows.push({ node, depth });
    if (browser.open.has(node.path)) for (const child of node.children) visit(child, depth + 1);
  };
  for (const child of browser.tree?.children ?? []) visit(child, 0);
  return rows;
}

/** False: the browser is to end. */
export function press(browser: Browser, key: Key, page: number): boolean {
  if (browser.typing) {
    typeFilter(browser, key);
    return true;
  }
  const name = "name" in key ? key.name : key.text;
  if (browser.pager) return pressInPager(browser, browser.pager, name, page);
  switch (name) {
    case "q":
    case "escape":
    case "ctrl-c":
      return false;
    case "tab":
      browser.pane = browser.pane === "layers" ? "tree" : "layers";
      break;
    case "/":
      browser.typing = true;
      break;
    case "b":
      browser.below = !browser.below;
      renew(browser);
      break;
    default:
      if (browser.pane === "layers") moveLayer(browser, name, page);
      else moveRow(browser, name, page);
  }
  return true;
}

function pressInPager(browser: Browser, pager: Pager, name: string, page: number): boolean {
  if (["q", "escape", "left", "enter", "backspace"].includes(name)) delete browser.pager;
  const move = step(name === " " ? "pagedown" : name, page);
  if (move !== undefined) {
    // the last page stays full
    pager.top = Math.max(0, Math.min(pager.top + move, pager.lines.length - pagerHeight(page + 4)));
  }
  return name !== "ctrl-c";
}

function typeFilter(browser: Browser, key: Key): void {
  if ("text" in key) browser.filter += key.text;
  else if (key.name === "backspace") browser.filter = [...browser.filter].slice(0, -1).join("");
  else {
    if (key.name === "escape" || key.name === "ctrl-c") browser.filter = "";
    if (["enter", "escape", "ctrl-c", "tab", "down"].includes(key.name)) browser.typing = false;
    if (key.name === "enter" || key.name === "down") browser.pane = "tree";
  }
  renew(browser);
}

function step(name: string, page: number): number | undefined {
  return { up: -1, k: -1, down: 1, j: 1, pageup: -page, pagedown: page, home: -1e9, end: 1e9 }[name];
}

const clamp = (n: number, count: number) => Math.max(0, Math.min(n, count - 1));

function moveLayer(browser: Browser, name: string, page: number): void {
  if (name === "right" || name === "enter") {
    browser.pane = "tree";
    return;
  }
  const move = step(name, page);
  if (move === undefined) return;
  browser.layer = clamp(browser.layer + move, browser.layers.length);
  renew(browser);
}

function moveRow(browser: Browser, name: string, page: number): void {
  const rows = visibleRows(browser);
  const current = rows[browser.row];
  const move = step(name, page);
  if (move !== undefined) {
    browser.row = clamp(browser.row + move, rows.length);
    return;
  }
  if (!current) {
    if (name === "left") browser.pane = "layers";
    return;
  }
  const { node, depth } = current;
  const opened = browser.open.has(node.path);
  if (name === "left" && !opened) {
    const parent = rows.slice(0, browser.row).findLastIndex((row) => row.depth < depth);
    if (parent >= 0) browser.row = parent;
    else browser.pane = "layers";
  } else if (name === "left" || ((name === "enter" || name === " ") && opened)) browser.open.delete(node.path);
  else if (["right", "enter", " "].includes(name)) {
    if (node.children.length > 0) browser.open.add(node.path);
    else if (node.change && !isFolder(node)) {
      browser.chosen = { layer: browser.layer, path: node.change.path, below: node.state === "below" };
    }
  }
}

// --- drawing --------------------------------------------------------------------------------------

const COLORS: Record<State, string> = { added: "32", changed: "33", removed: "31", below: "0" };
const MARKS: Record<State, string> = { added: "+", changed: "~", removed: "-", below: " " };

/** Exactly `rows` lines of at most `columns` characters. */
export function draw(browser: Browser, columns: number, rows: number, colors: boolean): string[] {
  if (browser.pager) return drawPager(browser.pager, columns, rows, colors);
  const left = Math.max(20, Math.min(44, Math.floor(columns * 0.4)));
  const right = Math.max(1, columns - left - 3);
  const height = Math.max(1, rows - 3);
  const style = (code: string, text: string) => (colors ? `\x1b[${code}m${text}\x1b[0m` : text);
  const layerLines = layersPane(browser, left, height, style);
  const treeLines = treePane(browser, right, height, style);
  const lines = [style("1", fit(browser.heading, columns))];
  const titles = [
    `${browser.pane === "layers" ? "▸" : " "} Layers`,
    `${browser.pane === "tree" ? "▸" : " "} ${treeTitle(browser)}`,
  ];
  lines.push(`${style("4", fit(titles[0] ?? "", left))} │ ${style("4", fit(titles[1] ?? "", right))}`);
  for (let i = 0; i < height; i++) lines.push(`${layerLines[i] ?? " ".repeat(left)} │ ${treeLines[i] ?? ""}`);
  const keys = browser.typing
    ? `Filter: ${visible(browser.filter)}_   Enter keeps it, Esc drops it`
    : "arrows move and open · Enter shows a file · Tab: other side · /: filter · b: what is below · q: end";
  lines.push(style("2", fit(keys, columns - 1)));
  return lines.slice(0, rows);
}

const pagerHeight = (rows: number) => Math.max(1, rows - 2);

function drawPager({ title, lines, top }: Pager, columns: number, rows: number, colors: boolean): string[] {
  const style = (code: string, text: string) => (colors ? `\x1b[${code}m${text}\x1b[0m` : text);
  const paint = painter(colors);
  const height = pagerHeight(rows);
  const shown = lines.slice(top, top + height).map((line) => paintDiff(fit(untabbed(line), columns), paint));
  const place = lines.length > height ? `  ${Math.min(top + height, lines.length)} of ${lines.length} lines` : "";
  const keys = "arrows, PageUp and PageDown move · ← or q goes back";
  const filled = [...shown, ...Array.from({ length: height - shown.length }, () => "")];
  return [style("7", fit(`${title}${place}`, columns)), ...filled, style("2", fit(keys, columns - 1))].slice(0, rows);
}

function untabbed(line: string): string {
  return line.split("\t").reduce((before, part) => `${before}${" ".repeat(8 - (before.length % 8))}${part}`);
}

function treeTitle({ filter, below, tree }: Browser): string {
  const what = below ? "Everything up to this layer" : "Changes of this layer";
  return `${what}: ${tree?.count ?? 0}${filter === "" ? "" : `, with "${visible(filter)}"`}`;
}

type Style = (code: string, text: string) => string;

/** The window of a list that has the current one in it. */
function scrolled<T>(items: T[], at: number, height: number): { items: T[]; from: number } {
  const from = Math.max(0, Math.min(at - Math.floor(height / 2), items.length - height));
  return { items: items.slice(from, from + height), from };
}

function layersPane(browser: Browser, width: number, height: number, style: Style): string[] {
  const { items, from } = scrolled(browser.layers, browser.layer, height);
  return items.map(({ title, instruction, size }, i) => {
    const text = fit(`${title} ${humanSize(size).padStart(7)} ${visible(instruction.replace(/\s+/g, " "))}`, width);
    return from + i === browser.layer ? style(browser.pane === "layers" ? "7" : "1", text) : text;
  });
}

function treePane(browser: Browser, width: number, height: number, style: Style): string[] {
  const rows = visibleRows(browser);
  if (rows.length === 0) return [fit("nothing", width)];
  const { items, from } = scrolled(rows, browser.row, height);
  return items.map(({ node, depth }, i) => {
    const folder = isFolder(node);
    const twist = node.children.length === 0 ? " " : browser.open.has(node.path) ? "▾" : "▸";
    const { change } = node;
    const link = change?.kind === "symlink" && change.link !== undefined ? ` -> ${change.link}` : "";
    const bytes = folder || change?.kind === "file" ? humanSize(node.bytes) : "-";
    const text = `${MARKS[node.state]} ${bytes.padStart(7)} ${"  ".repeat(depth)}${twist} ${node.name}${folder ? "/" : ""}${link}`;
    const cut = fit(text, width);
    if (from + i === browser.row && browser.pane === "tree") return style("7", cut);
    return node.state === "below" ? cut : style(COLORS[node.state], cut);
  });
}

/** Cut or filled to the width. Names are visible() already; wide characters count as two. */
export function fit(text: string, width: number): string {
  let used = 0;
  let cut = "";
  for (const character of text) {
    const w = charWidth(character);
    if (used + w > width) break;
    cut += character;
    used += w;
  }
  return cut + " ".repeat(Math.max(0, width - used));
}

function charWidth(character: string): number {
  if (/\p{Mark}|\p{Format}/u.test(character)) return 0;
  return /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}/u.test(
    character,
  )
    ? 2
    : 1;
}

export function layerTitle(number: number, id: string): string {
  return `${String(number).padStart(2)} ${shortId(id).slice(0, 8)}`;
}
