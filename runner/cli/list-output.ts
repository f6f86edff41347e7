import { compileRows } from "./template.ts";

export interface ListFormat {
  /** `--format`. */
  format: string | undefined;
  quiet: boolean;
  /** The template used without `--format`. */
  table: string;
  /** Field printed by `--quiet`. */
  id: string;
  /** Heading of every field. */
  headings: Record<string, unknown>;
  /** Leave the headings of a table out. */
  noheading?: boolean;
}

/** How a list is printed, read before any work is done. docker: `json` is one object a line, `table` alone the usual table. */
export function listPrinter(options: ListFormat): (rows: readonly object[]) => string {
  const { format, quiet, table, id } = options;
  const headings = options.noheading ? undefined : options.headings;
  if (quiet && (format === undefined || format === "")) return compileRows(`{{.${id}}}`, headings);
  if (format === undefined || format === "" || format === "table") return compileRows(table, headings);
  return compileRows(format === "json" ? "{{json .}}" : format, headings);
}
