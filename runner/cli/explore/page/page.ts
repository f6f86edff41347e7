/**
 * The script of the report page. Everything from the image becomes text by textContent: no name and no content is ever read as markup.
 * The tree is made as it is opened, so that a layer of a hundred thousand files costs what is seen of it.
 */

import type { CompareReport, ImageReport, PageData, ReportChange, ReportDiff } from "../shape.ts";
import { buildTree, isFolder, layerItems, type State, type TreeNode } from "./tree.ts";

/** Rows that are made at once by "Open all" or a filter. */
const MAX_OPEN = 2000;
/** Changes up to which a layer's tree is shown opened. */
const OPEN_AT_FIRST = 200;
/** Rows of the lists below the tree. */
const MAX_ROWS = 500;

const { report, diffs, diffsLeftOut } = JSON.parse(element("data").textContent ?? "") as PageData;
const compared = "images" in report ? (report as CompareReport) : undefined;
const single = compared ? undefined : (report as ImageReport);

interface Shown {
  title: string;
  said: string;
  changes: ReportChange[];
  number: number;
}

const layers: Shown[] = compared
  ? [
      {
        title: "What changed",
        said: `${compared.images[0].name} → ${compared.images[1].name}`,
        changes: compared.changes,
        number: 0,
      },
    ]
  : (single?.layers ?? []).map((layer) => ({
      title: `${layer.number} · ${layer.id.slice(7, 19)} · ${size(layer.size)}`,
      said: layer.instruction,
      changes: layer.changes,
      number: layer.number,
    }));
let current = 0;
let budget = 0;

function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

function make(tag: string, text = "", className = ""): HTMLElement {
  const made = document.createElement(tag);
  if (text !== "") made.textContent = text;
  if (className !== "") made.className = className;
  return made;
}

/** Decimal units, as the terminal shows them. */
function size(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value >= 100 || unit === 0 ? Math.round(value) : Number(value.toPrecision(3))}${units[unit]}`;
}

const percent = (share: number) => `${Number((share * 100).toFixed(2))}%`;

// --- head and layers ------------------------------------------------------------------------------

function showHead(): void {
  const images = compared ? compared.images : single ? [single.image] : [];
  const name = images.map((image) => image.name).join(" → ");
  document.title = `${name} · tsbox image explore`;
  element("name").textContent = name;
  element("facts").textContent = images.map((image) => `${image.platform} ${image.id}`).join(" → ");
  const numbers: [string, string][] = single
    ? [
        ["Layers", String(single.layers.length)],
        ["Bytes of all files", size(single.size)],
        ["Wasted", `${size(single.wasted)} (${percent(single.size === 0 ? 0 : single.wasted / single.size)})`],
        ["Efficiency", percent(single.efficiency)],
      ]
    : [
        ["Shared layers", String(compared?.sharedLayers)],
        ...(["added", "changed", "removed"] as const).map((kind): [string, string] => [
          kind,
          String(compared?.changes.filter(({ change }) => change === kind).length),
        ]),
      ];
  for (const [term, value] of numbers) {
    const pair = make("div");
    pair.append(make("dt", term), make("dd", value));
    element("numbers").append(pair);
  }
}

function showLayers(): void {
  layers.forEach((layer, index) => {
    const button = make("button") as HTMLButtonElement;
    button.type = "button";
    button.append(make("span", layer.title));
    const counts = make("span", "", "counts");
    for (const [kind, sign] of [
      ["added", "+"],
      ["changed", "~"],
      ["removed", "-"],
    ] as const) {
      const count = layer.changes.filter(({ change }) => change === kind).length;
      counts.append(" ", make("span", `${sign}${count}`, kind));
    }
    button.append(counts, make("span", layer.said, "said"));
    button.addEventListener("click", () => pickLayer(index));
    button.addEventListener("keydown", (event) => {
      const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
      const next = element("layers").children[index + step]?.firstElementChild as HTMLElement | undefined;
      if (step === 0 || !next) return;
      event.preventDefault();
      pickLayer(index + step);
      next.focus();
    });
    const item = make("li");
    item.append(button);
    element("layers").append(item);
  });
}

function pickLayer(index: number): void {
  current = index;
  [...element("layers").children].forEach((item, i) => {
    item.firstElementChild?.setAttribute("aria-current", String(i === index));
  });
  showTree();
}

// --- the tree -------------------------------------------------------------------------------------

const made = new WeakMap<HTMLElement, TreeNode>();

function checked(id: string): boolean {
  return element<HTMLInputElement>(id).checked;
}

function showTree(open?: boolean): void {
  const filter = element<HTMLInputElement>("filter").value.trim();
  const below = checked("show-below");
  const shown = new Set<State>(below ? ["below"] : []);
  for (const state of ["added", "changed", "removed"] as const) if (checked(`show-${state}`)) shown.add(state);
  const root = buildTree(layerItems(layers, current, below), { filter, shown });
  const few = root.count <= OPEN_AT_FIRST;
  budget = MAX_OPEN;
  const tree = element("tree");
  tree.replaceChildren(...root.children.map((node) => row(node, open ?? (few || filter !== ""), 1)));
  (tree.firstElementChild as HTMLElement | null)?.setAttribute("tabindex", "0");
  element("found").textContent =
    root.count === 0
      ? "Nothing to show."
      : `${root.count} ${root.count === 1 ? "entry" : "entries"}, ${size(root.bytes)}${budget <= 0 ? "; not all of it is opened" : ""}`;
}

const MARKS: Record<State, string> = { added: "+", changed: "~", removed: "-", below: " " };

function row(node: TreeNode, open: boolean, level: number): HTMLElement {
  const item = make("li");
  made.set(item, node);
  item.setAttribute("role", "treeitem");
  item.setAttribute("aria-level", String(level));
  item.tabIndex = -1;
  const folder = isFolder(node);
  const line = make("div", "", `row ${node.change ? node.state : "below"}`);
  const { change } = node;
  const target = change?.kind === "symlink" && change.link !== undefined ? ` → ${change.link}` : "";
  line.append(
    make("span", folder ? "▸" : " ", "twist"),
    make("span", MARKS[node.state], "mark"),
    make("span", folder || change?.kind === "file" ? size(node.bytes) : change?.kind, "size"),
    make("span", `${node.name}${folder ? "/" : ""}${target}`, "name"),
    make("span", noteOf(node), "note"),
  );
  item.append(line);
  if (node.children.length > 0) {
    item.setAttribute("aria-expanded", "false");
    if (open && budget > 0) toggle(item, true, open);
  }
  return item;
}

function noteOf({ change, state }: TreeNode): string {
  if (!change || state === "below") return "";
  const parts: string[] = [];
  if (state === "changed") {
    parts.push(change.aspects?.length === 0 ? "identical copy" : (change.aspects ?? []).join(", "));
    if (change.before !== undefined && change.before !== change.size) parts.push(`was ${size(change.before)}`);
  }
  if (diffOf(change)) parts.push("Enter shows the diff");
  return parts.length > 0 ? `(${parts.join("; ")})` : "";
}

function toggle(item: HTMLElement, open: boolean, all = false): void {
  const node = made.get(item);
  if (!node || node.children.length === 0) return;
  item.setAttribute("aria-expanded", String(open));
  const twist = item.querySelector(".twist");
  if (twist) twist.textContent = open ? "▾" : "▸";
  const list = item.querySelector(":scope > ul");
  if (!open) {
    list?.remove();
    return;
  }
  if (list) return;
  const group = make("ul");
  group.setAttribute("role", "group");
  const level = Number(item.getAttribute("aria-level")) + 1;
  budget -= node.children.length;
  group.append(...node.children.map((child) => row(child, all, level)));
  item.append(group);
}

function diffOf(change: ReportChange): ReportDiff | undefined {
  const layer = layers[current];
  return diffs.find(
    ({ path, pathBase64, to }) =>
      path === change.path &&
      pathBase64 === change.pathBase64 &&
      (compared !== undefined || to.layer === layer?.number),
  );
}

function activate(item: HTMLElement): void {
  const node = made.get(item);
  const diff = node?.change && diffOf(node.change);
  if (diff) showDiff(diff, item);
  else toggle(item, item.getAttribute("aria-expanded") !== "true");
}

function focusItem(item: HTMLElement | null | undefined): void {
  if (!item) return;
  for (const one of element("tree").querySelectorAll('[tabindex="0"]')) one.setAttribute("tabindex", "-1");
  item.setAttribute("tabindex", "0");
  item.focus();
}

/** As the ARIA practices have it: up and down among what is open, right opens or goes in, left closes or goes out. */
function treeKey(event: KeyboardEvent): void {
  const item = (event.target as HTMLElement).closest<HTMLElement>("[role=treeitem]");
  if (!item) return;
  const items = [...element("tree").querySelectorAll<HTMLElement>("[role=treeitem]")];
  const at = items.indexOf(item);
  const expanded = item.getAttribute("aria-expanded");
  switch (event.key) {
    case "ArrowDown":
      focusItem(items[at + 1]);
      break;
    case "ArrowUp":
      focusItem(items[at - 1]);
      break;
    case "Home":
      focusItem(items[0]);
      break;
    case "End":
      focusItem(items.at(-1));
      break;
    case "ArrowRight":
      if (expanded === "false") toggle(item, true);
      else if (expanded === "true") focusItem(items[at + 1]);
      break;
    case "ArrowLeft":
      if (expanded === "true") toggle(item, false);
      else focusItem(item.parentElement?.closest<HTMLElement>("[role=treeitem]"));
      break;
    case "Enter":
    case " ":
      activate(item);
      break;
    default:
      return;
  }
  event.preventDefault();
}

// --- a file's diff --------------------------------------------------------------------------------

let cameFrom: HTMLElement | undefined;

function showDiff(diff: ReportDiff, from: HTMLElement): void {
  cameFrom = from;
  const place = compared ? "" : ` in layer ${diff.to.layer}`;
  element("diff-title").textContent = `/${diff.path}${place}`;
  const lines = diff.text.split("\n").map((line) => {
    const kind = /^(\+\+\+|---|@@|\\)/.test(line)
      ? "place"
      : line.startsWith("+")
        ? "plus"
        : line.startsWith("-")
          ? "minus"
          : "";
    return make("span", line, kind);
  });
  element("diff-text").replaceChildren(...lines);
  element("diff").hidden = false;
  element("diff").scrollIntoView({ block: "nearest" });
  element("diff").focus();
}

function closeDiff(): void {
  element("diff").hidden = true;
  focusItem(cameFrom);
}

// --- lists ----------------------------------------------------------------------------------------

function addList(title: string, rows: [string, string][], open: boolean): void {
  if (rows.length === 0) return;
  const details = make("details") as HTMLDetailsElement;
  details.open = open;
  details.append(make("summary", `${title} (${rows.length})`));
  const table = make("table");
  for (const [bytes, text] of rows.slice(0, MAX_ROWS)) {
    const line = make("tr");
    line.append(make("td", bytes, "size"), make("td", text, "path"));
    table.append(line);
  }
  details.append(table);
  if (rows.length > MAX_ROWS) details.append(make("p", `… and ${rows.length - MAX_ROWS} more; --format json has all`));
  element("lists").append(details);
}

function showLists(): void {
  if (!single) return;
  addList(
    "Wasted files",
    single.waste.map(({ path, bytes, versions }) => [
      size(bytes),
      `/${path} (${versions.map(({ layer, how, by }) => `layer ${layer}, ${how} by ${by}`).join("; ")})`,
    ]),
    true,
  );
  addList(
    "Biggest files",
    single.biggest.map((file) => [size(file.size), `/${file.path} (layer ${file.layer})`]),
    false,
  );
  addList(
    "The same content more than once",
    single.duplicates.map(({ extra, places }) => [
      size(extra),
      places.map(({ path, layer }) => `/${path} (layer ${layer})`).join(" = "),
    ]),
    false,
  );
}

function start(): void {
  showHead();
  showLayers();
  showLists();
  // the lowest layer is all of the base: what was made of it is more likely what one looks for
  pickLayer(Math.min(1, layers.length - 1));
  element("footer").textContent =
    "Wasted are the bytes of files that a later layer overwrites or removes; efficiency is 1 - wasted / bytes of the files of all layers." +
    (diffsLeftOut > 0 ? ` ${diffsLeftOut} more text diffs would make this page too large.` : "");
  for (const id of ["filter", "show-added", "show-changed", "show-removed", "show-below"]) {
    element(id).addEventListener("input", () => showTree());
  }
  element("below-label").hidden = compared !== undefined;
  element("tools").addEventListener("submit", (event) => event.preventDefault());
  element("expand").addEventListener("click", () => showTree(true));
  element("collapse").addEventListener("click", () => showTree(false));
  element("diff-close").addEventListener("click", closeDiff);
  element("diff").addEventListener("keydown", (event) => {
    if (event.key === "Escape") closeDiff();
  });
  element("tree").addEventListener("keydown", treeKey);
  element("tree").addEventListener("click", (event) => {
    const item = (event.target as HTMLElement).closest<HTMLElement>("[role=treeitem]");
    if (!item) return;
    focusItem(item);
    activate(item);
  });
}

start();
