import { createTwoFilesPatch } from "diff";
import { TsboxError, visible } from "../../base/error.ts";
import type { Engine } from "../engine.ts";
import { readContents } from "./content.ts";
import { type Exploration, findLayer } from "./explore.ts";
import { type BytePath, pathText, typedPath } from "./names.ts";
import type { Content, TreeFile } from "./stack.ts";

/** A file at one place of its history. */
export interface Side {
  exploration: Exploration;
  /** Number of the layer it is seen from; 0: below the first. */
  layer: number;
  file: TreeFile | undefined;
}

export interface FileDiff {
  path: BytePath;
  from: Side;
  to: Side;
  /** One of the sides is no text, or is too large, or they are too different for a diff in reasonable time. */
  binary: boolean;
  /** Unified diff, or one line for each side; empty when both are the same. Control characters are visible. */
  text: string;
}

/** Largest file of which a text diff is made for the terminal. */
export const MAX_TEXT = 16 << 20;
/** Milliseconds until the comparison of two files is given up: a hostile pair could take for ever. */
const PATIENCE = 3000;
/** Bytes that are looked at for a NUL, as git does. */
const HEAD = 8000;

export interface FileDiffRequest {
  path: string;
  from?: string;
  to?: string;
}

/** The diffs of one file: between two layers or two images; else one for each layer that touched it. */
export async function diffFile(
  engine: Engine,
  explorations: [Exploration, ...Exploration[]],
  request: FileDiffRequest,
): Promise<FileDiff[]> {
  const [first, second] = explorations;
  const path = findPath(explorations, request.path);
  const last = (exploration: Exploration) => exploration.layers.length;
  if (second || request.from !== undefined || request.to !== undefined) {
    const target = second ?? first;
    const to = side(target, request.to === undefined ? last(target) : findLayer(target, request.to), path);
    const fallback = second ? last(first) : Math.max(0, to.layer - 1);
    const from = side(first, request.from === undefined ? fallback : findLayer(first, request.from), path);
    return makeDiffs(engine, [{ path, from, to }], MAX_TEXT);
  }
  const pairs = (first.stack.versions.get(path) ?? []).map(({ layer }) => ({
    path,
    from: side(first, layer, path),
    to: side(first, layer + 1, path),
  }));
  return makeDiffs(engine, pairs, MAX_TEXT);
}

function findPath(explorations: Exploration[], typed: string): BytePath {
  const path = typedPath(typed);
  const known = (key: BytePath) => explorations.some(({ stack }) => stack.versions.has(key));
  const text = typed.replace(/^\/+/, "");
  // as the report shows it, for names that cannot be typed
  const found = known(path)
    ? path
    : explorations.flatMap(({ stack }) => [...stack.versions.keys()]).find((key) => pathText(key) === text);
  const shown = visible(typed);
  const names = explorations.map(({ name }) => `"${name}"`).join(" and ");
  if (found === undefined) {
    throw new TsboxError(`Cannot compare "${shown}": no layer of ${names} has it`, {
      code: "NO_SUCH_FILE",
      hint: '"tsbox image explore --all IMAGE" lists every file',
      exitCode: 1,
    });
  }
  const files = explorations.flatMap(({ stack }) => (stack.versions.get(found) ?? []).map(({ file }) => file));
  if (files.every((file) => file === undefined || file.kind === "directory")) {
    throw new TsboxError(`Cannot compare "${shown}": it is a directory`, {
      code: "NOT_A_FILE",
      hint: "name a file below it",
      exitCode: 1,
    });
  }
  return found;
}

/** How a path looks from above layer `number`. */
export function side(exploration: Exploration, number: number, path: BytePath): Side {
  const versions = exploration.stack.versions.get(path) ?? [];
  return { exploration, layer: number, file: versions.filter(({ layer }) => layer < number).at(-1)?.file };
}

/** Diffs of many files, each layer read once. */
export async function makeDiffs(
  engine: Engine,
  pairs: Pick<FileDiff, "path" | "from" | "to">[],
  limit: number,
): Promise<FileDiff[]> {
  const contents = new Map<Content, Buffer>();
  for (const exploration of new Set(pairs.flatMap(({ from, to }) => [from.exploration, to.exploration]))) {
    const wanted = pairs
      .flatMap(({ from, to }) => [from, to])
      .flatMap((one) => (one.exploration === exploration && one.file?.content ? [one.file.content] : []));
    for (const [content, bytes] of await readContents(engine, exploration, wanted, limit)) contents.set(content, bytes);
  }
  return pairs.map((pair) => diffOf(pair, contents));
}

function diffOf(pair: Pick<FileDiff, "path" | "from" | "to">, contents: Map<Content, Buffer>): FileDiff {
  const { from, to, path } = pair;
  const [old, now] = [textOf(from.file, contents), textOf(to.file, contents)];
  if (old === undefined || now === undefined) {
    const same = from.file?.digest === to.file?.digest && from.file?.digest !== "";
    return { ...pair, binary: true, text: same ? "" : `${factLine("-", from)}${factLine("+", to)}` };
  }
  if (old === now) return { ...pair, binary: false, text: "" };
  const name = pathText(path);
  const patch = createTwoFilesPatch(
    from.file ? `a/${name}` : "/dev/null",
    to.file ? `b/${name}` : "/dev/null",
    old,
    now,
    label(from),
    label(to),
    { context: 3, timeout: PATIENCE },
  ) as string | undefined;
  if (patch === undefined) return { ...pair, binary: true, text: `${factLine("-", from)}${factLine("+", to)}` };
  return { ...pair, binary: false, text: harmless(patch.replace(/^=+\n/, "")) };
}

/** Lines and tabs are ours; every other control character of the file is made visible. */
function harmless(text: string): string {
  return text
    .split("\n")
    .map((line) => line.split("\t").map(visible).join("\t"))
    .join("\n");
}

/** Undefined for what is no text. A link's text is its target. */
function textOf(file: TreeFile | undefined, contents: Map<Content, Buffer>): string | undefined {
  if (!file) return "";
  if (file.kind === "symlink") return `${pathText(file.link)}\n`;
  if (file.kind !== "file") return undefined;
  const bytes = file.content && contents.get(file.content);
  if (!bytes || bytes.subarray(0, HEAD).includes(0)) return undefined;
  // names and contents of other encodings than UTF-8: every byte stays to be seen
  return bytes
    .toString("latin1")
    .split("\n")
    .map((line) => line.split("\t").map(decodeLine).join("\t"))
    .join("\n");
}

function decodeLine(line: string): string {
  return /^[\x20-\x7e]*$/.test(line) ? line : pathText(line);
}

function label({ exploration, layer }: Side): string {
  return layer === 0 ? "(nothing)" : `(${visible(exploration.name)}, layer ${layer})`;
}

/** Two files that cannot be shown are told by what they are. */
function factLine(sign: string, one: Side): string {
  const { file } = one;
  if (!file) return `${sign} ${label(one)} not there\n`;
  const what = file.kind === "file" ? `${file.size} bytes sha256:${file.digest || "unknown"}` : file.kind;
  return `${sign} ${label(one)} ${what}\n`;
}
