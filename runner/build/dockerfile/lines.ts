import { DockerfileError, type Source, type Span } from "./source.ts";
import { splitWords } from "./words.ts";

/*
 * The outermost form of a Dockerfile: which lines make an instruction. Own code, since the parsers that npm has misread what people
 * write: dockerfile-ast 0.7 keeps comments that stand between the lines of a RUN, gives two heredocs of one line wrong contents
 * and drops the flags of RUN.
 */

/** A file written inside the Dockerfile. */
export interface Heredoc {
  /** The word that ends it. */
  name: string;
  content: string;
  /** Variables in it are expanded: its word has no quotes. */
  expand: boolean;
  /** Tabs that lead its lines are taken off (`<<-`). */
  chomp: boolean;
}

/** One instruction: its lines joined, without comments. */
export interface Line {
  keyword: string;
  keywordSpan: Span;
  /** All of what follows the keyword. */
  text: string;
  heredocs: Heredoc[];
  /** The instruction from its keyword to its end. */
  span: Span;
  /** Where a piece of `text` stands in the file. */
  at(start: number, end?: number): Span;
}

export interface Document {
  source: Source;
  escapeChar: string;
  /** Parser directives: syntax, escape, check. */
  directives: Record<string, string>;
  lines: Line[];
}

const WITH_HEREDOCS = ["ADD", "COPY", "RUN"];

export function readLines(source: Source): Document {
  const { directives, start } = readDirectives(source);
  const escapeChar = directives.escape ?? "\\";
  const quoted = escapeChar === "\\" ? "\\\\" : "`";
  // an escaped escape character at the end is no continuation
  const continued = new RegExp(`(^|[^${quoted}])${quoted}[ \\t]*$`);
  const lines: Line[] = [];
  for (let number = start; number < source.lines.length; number++) {
    const first = source.lines[number] as string;
    if (/^\s*(#|$)/.test(first)) continue;
    const pieces: Piece[] = [];
    let text = "";
    const add = (at: number, column: number, line: string): boolean => {
      const goesOn = continued.test(line);
      const kept = goesOn ? line.replace(continued, "$1") : line;
      pieces.push({ offset: text.length, line: at + 1, column });
      text += kept.slice(column);
      return goesOn;
    };
    let goesOn = add(number, first.search(/\S/), first);
    while (goesOn && number + 1 < source.lines.length) {
      number++;
      const line = source.lines[number] as string;
      // comments and empty lines between the lines of an instruction are not part of it
      if (/^\s*(#|$)/.test(line)) continue;
      goesOn = add(number, 0, line);
    }
    const place = (from: number, to: number): Span => {
      const a = locate(pieces, from);
      const b = locate(pieces, Math.max(from, to - 1));
      return { line: a.line, column: a.column, endLine: b.line, endColumn: b.column + 1 };
    };
    const keyword = /^\S*/.exec(text)?.[0] ?? "";
    const rest = text.slice(keyword.length);
    const skipped = keyword.length + (rest.length - rest.trimStart().length);
    const argument = text.slice(skipped).trimEnd();
    const line: Line = {
      keyword: keyword.toUpperCase(),
      keywordSpan: place(0, keyword.length),
      text: argument,
      heredocs: [],
      span: place(0, text.trimEnd().length),
      at: (from, to = argument.length) => place(skipped + from, skipped + Math.max(to, from + 1)),
    };
    number = readHeredocs(source, line, number, escapeChar);
    line.span = { ...line.span, endLine: number + 1, endColumn: (source.lines[number] ?? "").length };
    lines.push(line);
  }
  return { source, escapeChar, directives, lines };
}

interface Piece {
  offset: number;
  line: number;
  column: number;
}

function locate(pieces: Piece[], offset: number): { line: number; column: number } {
  const piece = pieces.findLast((one) => one.offset <= offset) ?? pieces[0];
  return piece ? { line: piece.line, column: piece.column + offset - piece.offset } : { line: 1, column: 0 };
}

/** `# name=value` lines at the very top; the first line that is none ends them. */
function readDirectives(source: Source): { directives: Record<string, string>; start: number } {
  const directives: Record<string, string> = {};
  let start = 0;
  // a script's first line
  if (source.lines[0]?.startsWith("#!")) start = 1;
  for (; start < source.lines.length; start++) {
    const text = source.lines[start] as string;
    const found = /^\s*#\s*([A-Za-z][A-Za-z0-9-]*)\s*=\s*(.*?)\s*$/.exec(text);
    if (!found) break;
    const name = (found[1] as string).toLowerCase();
    const value = found[2] as string;
    const span = { line: start + 1, column: 0, endLine: start + 1, endColumn: text.length };
    if (!["syntax", "escape", "check"].includes(name)) break;
    if (Object.hasOwn(directives, name)) {
      throw new DockerfileError(source, span, `the directive "${name}" stands here twice`, "remove one");
    }
    if (name === "escape" && value !== "\\" && value !== "`") {
      throw new DockerfileError(source, span, `"${value}" cannot be the escape character`, "it is \\ or `");
    }
    directives[name] = value;
  }
  return { directives, start };
}

const HEREDOC = /^(\d*)<<(-?)([^<]*)$/;

/** The heredoc that a word starts, without its content. */
export function heredocWord(word: string): Heredoc | undefined {
  const found = HEREDOC.exec(word);
  const rest = found?.[3] ?? "";
  if (!found || rest === "") return undefined;
  const name = rest.replace(/(["'])(.*?)\1/g, "$2").replace(/\\(.)/g, "$1");
  // a quote that does not end, or a word of several parts, is no delimiter
  if (name === "" || /["'\s]/.test(name)) return undefined;
  return { name, content: "", expand: name === rest, chomp: found[2] === "-" };
}

/** Reads the contents of the heredocs that a line announces; returns the number of the last line read. */
function readHeredocs(source: Source, line: Line, last: number, escapeChar: string): number {
  const words = line.keyword === "ONBUILD" ? line.text.replace(/^\S+\s*/, "") : line.text;
  const keyword = line.keyword === "ONBUILD" ? /^\S*/.exec(line.text)?.[0]?.toUpperCase() : line.keyword;
  if (!WITH_HEREDOCS.includes(keyword ?? "") || !words.includes("<<") || isList(words)) return last;
  let number = last;
  for (const word of splitWords(words, escapeChar)) {
    const heredoc = heredocWord(word.text);
    if (!heredoc) continue;
    for (;;) {
      number++;
      const text = source.lines[number];
      if (text === undefined || (number === source.lines.length - 1 && text === "" && heredoc.name !== "")) {
        const at = line.text.indexOf(word.text);
        throw new DockerfileError(
          source,
          line.at(at, at + word.text.length),
          `the heredoc never ends: no line that says just "${heredoc.name}"`,
        );
      }
      if ((heredoc.chomp ? text.replace(/^\t+/, "") : text) === heredoc.name) break;
      heredoc.content += `${text}\n`;
    }
    line.heredocs.push(heredoc);
  }
  return number;
}

function isList(text: string): boolean {
  if (!text.startsWith("[")) return false;
  try {
    return Array.isArray(JSON.parse(text));
  } catch {
    return false;
  }
}

/** What the heredoc's file holds: leading tabs taken off where it says so. */
export function heredocContent({ content, chomp }: Heredoc): string {
  return chomp ? content.replace(/^\t+/gm, "") : content;
}
