/** `--format`: Go templates, as docker and podman take them, and docker's `table` form. */

import { formatTable } from "./table.ts";
import { evaluate } from "./template/evaluate.ts";
import { FUNCTIONS, HEADER_FUNCTIONS } from "./template/functions.ts";
import { parse, type Template } from "./template/parse.ts";

const NAMES: ReadonlySet<string> = new Set(FUNCTIONS.keys());

/** Reads a template once; an error in it comes before any work is done. */
export function compileTemplate(source: string): (data: unknown) => string {
  const template = parse(source, NAMES);
  unescapeText(template);
  return (data) => evaluate(template, data, FUNCTIONS);
}

/**
 * One line a row. `table …` aligns the columns, which tabs separate, below a row of headings. `headings` has the heading of
 * every field; without it there are rows only.
 */
export function compileRows(
  source: string,
  headings: Record<string, unknown> | undefined,
): (rows: readonly object[]) => string {
  const table = /^table(?=[\s{])[ \t]*/.exec(source)?.[0];
  const template = parse(source.slice(table?.length ?? 0), NAMES);
  unescapeText(template);
  if (table === undefined) {
    return (rows) => rows.map((row) => `${evaluate(template, row, FUNCTIONS)}\n`).join("");
  }
  const head = headings === undefined ? [] : [evaluate(template, headings, HEADER_FUNCTIONS)];
  return (rows) =>
    formatTable([...head, ...rows.map((row) => evaluate(template, row, FUNCTIONS))].map((line) => line.split("\t")));
}

/** People type `\t` and `\n` in single quotes, and docker turns them into what they mean. */
function unescapeText(template: Template): void {
  const visit = (nodes: Template["body"]): void => {
    for (const node of nodes) {
      if (node.type === "text") node.text = node.text.replaceAll("\\t", "\t").replaceAll("\\n", "\n");
      if ("body" in node) {
        visit(node.body);
        visit(node.otherwise);
      }
    }
  };
  visit(template.body);
  for (const body of template.defined.values()) visit(body);
}
