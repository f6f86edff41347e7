/** The report as one HTML page that needs nothing else. */

import type { Engine } from "../../engine/engine.ts";
import { compareImages, type Exploration } from "../../engine/explore/explore.ts";
import { type FileDiff, makeDiffs, type Side, side } from "../../engine/explore/file-diff.ts";
import type { Change } from "../../engine/explore/stack.ts";
// with its style and script in it: scripts/bundle/inline-page.ts
import template from "./page/page.html";
import { compareReport, imageReport, reportDiff } from "./report.ts";
import type { PageData } from "./shape.ts";

/** Larger text files are not compared for the page. */
const MAX_FILE = 256 << 10;
/** Characters of all diffs together. */
const MAX_DIFFS = 4 << 20;
/** Pairs of files that are looked at. */
const MAX_PAIRS = 5000;

export async function page(engine: Engine, explorations: [Exploration, ...Exploration[]]): Promise<string> {
  const [first, second] = explorations;
  const report = second ? compareReport(first, second) : imageReport(first);
  const pairs = second ? comparedPairs(first, second) : layerPairs(first);
  const made = await makeDiffs(engine, pairs.slice(0, MAX_PAIRS), MAX_FILE);
  const data: PageData = { report, diffs: [], diffsLeftOut: Math.max(0, pairs.length - MAX_PAIRS) };
  let length = 0;
  for (const diff of made) {
    if (diff.binary || diff.text === "") continue;
    length += diff.text.length;
    if (length > MAX_DIFFS) data.diffsLeftOut++;
    else data.diffs.push(reportDiff(diff));
  }
  return fill(template, data);
}

type Pair = Pick<FileDiff, "path" | "from" | "to">;

function layerPairs(exploration: Exploration): Pair[] {
  return exploration.layers.flatMap(({ changes, number }) =>
    changes
      .filter(worthDiff)
      .map(({ path }) => ({ path, from: side(exploration, number - 1, path), to: side(exploration, number, path) })),
  );
}

function comparedPairs(a: Exploration, b: Exploration): Pair[] {
  const at = (exploration: Exploration, path: string): Side => side(exploration, exploration.layers.length, path);
  return compareImages(a, b)
    .changes.filter(worthDiff)
    .map(({ path }) => ({ path, from: at(a, path), to: at(b, path) }));
}

/** A file whose content changed. What was added or removed is not embedded: its text is all of it. */
function worthDiff({ change, before, after, aspects }: Change): boolean {
  const small = (size = 0) => size <= MAX_FILE;
  return (
    change === "changed" &&
    (aspects.includes("content") || aspects.includes("link")) &&
    small(before?.size) &&
    small(after?.size)
  );
}

/**
 * Data go in as JSON of an inert element: `<` is written as an escape, so that nothing in them can end it, and the page's script only ever makes
 * text of them. The page's policy (in the template) forbids every other script and every request.
 */
function fill(html: string, data: PageData): string {
  const json = JSON.stringify(data).replace(
    /[<>&\u2028\u2029]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
  return html.replace("<!-- data -->", () => json);
}
