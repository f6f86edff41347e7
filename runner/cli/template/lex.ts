/** Template text → tokens. Inside an action strings are read whole, so `{{"}}"}}` is one action. */

import { unreadable } from "./error.ts";

export type TokenKind =
  | "text"
  | "open"
  | "close"
  | "field"
  | "dot"
  | "variable"
  | "word"
  | "string"
  | "number"
  | "("
  | ")"
  | "|"
  | ","
  | ":="
  | "=";

export interface Token {
  kind: TokenKind;
  /** Text or string content, or the name without its leading `.` or `$`. */
  text: string;
  at: number;
  /** Nothing stands between this token and the one before: `.A.B` is a chain, `.A .B` are two operands. */
  glued: boolean;
}

export function lex(source: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  let trimNext = false;
  while (at < source.length) {
    const open = source.indexOf("{{", at);
    const end = open < 0 ? source.length : open;
    // "{{- " eats the blanks before it, " -}}" those after it.
    const trimHere = open >= 0 && /^\{\{-\s/.test(source.slice(open, open + 4));
    let text = source.slice(at, end);
    if (trimNext) text = text.trimStart();
    if (trimHere) text = text.trimEnd();
    if (text !== "") tokens.push({ kind: "text", text, at, glued: false });
    if (open < 0) break;
    const action = lexAction(source, open, open + (trimHere ? 3 : 2), tokens);
    at = action.end;
    trimNext = action.trim;
  }
  return tokens;
}

interface ActionEnd {
  end: number;
  trim: boolean;
}

const COMMENT = /\s*\/\*[\s\S]*?\*\//y;
const CLOSE = /(\s+-)?\}\}/y;

function lexAction(source: string, open: number, start: number, tokens: Token[]): ActionEnd {
  const comment = match(COMMENT, source, start);
  if (comment !== undefined) {
    const close = match(CLOSE, source, start + comment.length);
    if (close === undefined) throw unreadable(open, "a comment ends before its closing }}");
    return { end: start + comment.length + close.length, trim: close.length > 2 };
  }
  tokens.push({ kind: "open", text: "{{", at: open, glued: false });
  let at = start;
  let glued = true;
  for (;;) {
    const close = match(CLOSE, source, at);
    if (close !== undefined) {
      tokens.push({ kind: "close", text: "}}", at, glued });
      return { end: at + close.length, trim: close.length > 2 };
    }
    if (at >= source.length) throw unreadable(open, "unclosed action", 'every "{{" needs a "}}"');
    const blank = match(/\s+/y, source, at);
    if (blank !== undefined) {
      at += blank.length;
      glued = false;
      continue;
    }
    const { token, length } = lexToken(source, at, glued);
    tokens.push(token);
    at += length;
    glued = true;
  }
}

/** Spellings in the order they are tried. */
const PATTERNS: [TokenKind, RegExp][] = [
  ["number", /[+-]?(?:0[xX][\da-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)/y],
  ["field", /\.[\p{L}_][\p{L}\p{N}_]*/uy],
  ["dot", /\./y],
  ["variable", /\$[\p{L}\p{N}_]*/uy],
  ["word", /[\p{L}_][\p{L}\p{N}_]*/uy],
  [":=", /:=/y],
  ["=", /=/y],
  ["(", /\(/y],
  [")", /\)/y],
  ["|", /\|/y],
  [",", /,/y],
];

function lexToken(source: string, at: number, glued: boolean): { token: Token; length: number } {
  const first = source[at] ?? "";
  if (first === '"' || first === "`" || first === "'") {
    const { text, length, kind } = lexQuoted(source, at, first);
    return { token: { kind, text, at, glued }, length };
  }
  for (const [kind, pattern] of PATTERNS) {
    const found = match(pattern, source, at);
    if (found === undefined) continue;
    const text = kind === "field" || kind === "variable" ? found.slice(1) : found;
    return { token: { kind, text, at, glued }, length: found.length };
  }
  throw unreadable(at, `unexpected ${JSON.stringify(first)}`);
}

interface Quoted {
  text: string;
  length: number;
  kind: "string" | "number";
}

function lexQuoted(source: string, at: number, quote: string): Quoted {
  if (quote === "`") {
    const end = source.indexOf("`", at + 1);
    if (end < 0) throw unreadable(at, "unterminated raw string");
    return { text: source.slice(at + 1, end), length: end - at + 1, kind: "string" };
  }
  const pattern = quote === '"' ? /"((?:[^"\\\n]|\\[^\n])*)"/y : /'((?:[^'\\\n]|\\[^\n])+)'/y;
  const found = match(pattern, source, at);
  if (found === undefined) throw unreadable(at, "unterminated quoted string");
  const text = readEscapes(found.slice(1, -1), at);
  if (quote === '"') return { text, length: found.length, kind: "string" };
  // A character constant is its code point.
  if ([...text].length !== 1) throw unreadable(at, "a character constant holds one character");
  return { text: String(text.codePointAt(0)), length: found.length, kind: "number" };
}

const SIMPLE: Record<string, string> = {
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "\\": "\\",
  "'": "'",
  '"': '"',
};

/** Go's escapes: `\n`, `\x41`, `\u00e9`, `\U0001f600`, `\101`. */
function readEscapes(text: string, at: number): string {
  return text.replace(/\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U[\da-fA-F]{8}|[0-7]{3}|.)/gsu, (_, code: string) => {
    const simple = SIMPLE[code];
    if (simple !== undefined) return simple;
    const point = /^[xuU]./.test(code) ? Number.parseInt(code.slice(1), 16) : Number.parseInt(code, 8);
    if (code.length < 3 || point > 0x10_ffff) throw unreadable(at, `unknown escape "\\${code}"`);
    return String.fromCodePoint(point);
  });
}

function match(pattern: RegExp, source: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(source)?.[0];
}
