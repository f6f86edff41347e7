import { TsboxError, visible } from "../../base/error.ts";

/** The text of a Dockerfile, and how people call it. */
export interface Source {
  file: string;
  lines: string[];
}

/** A place in the file: lines from 1, columns from 0, the end excluded. */
export interface Span {
  line: number;
  column: number;
  endLine: number;
  endColumn: number;
}

export function readSource(file: string, text: string): Source {
  return { file, lines: text.replace(/^\ufeff/, "").split(/\r?\n/) };
}

/** Something is wrong at one place of a Dockerfile: the message shows the line with a caret below. */
export class DockerfileError extends TsboxError {
  readonly file: string;
  readonly line: number;

  constructor(
    source: Source,
    span: Span,
    why: string,
    hint?: string,
    details: { code?: string; cause?: unknown } = {},
  ) {
    const place = `${visible(source.file)}:${span.line}:${span.column + 1}`;
    super(`Cannot build ${place}: ${why}\n${excerpt(source, span)}`, {
      code: "DOCKERFILE",
      ...details,
      ...(hint !== undefined && { hint }),
      exitCode: 1,
    });
    this.file = source.file;
    this.line = span.line;
  }
}

/** The line and a caret below the place; a place that goes on over lines is underlined on its first. */
export function excerpt(source: Source, span: Span): string {
  const text = source.lines[span.line - 1] ?? "";
  const number = String(span.line).padStart(4);
  const end = span.endLine > span.line ? text.length : span.endColumn;
  const width = Math.max(1, Math.min(end, text.trimEnd().length) - span.column);
  // tabs keep their width, so that the caret stands where it should
  const indent = text.slice(0, span.column).replace(/[^\t]/g, " ");
  return `${number} | ${visible(text.replace(/\t/g, "  "))}\n     | ${indent.replace(/\t/g, "  ")}${"^".repeat(width)}`;
}
