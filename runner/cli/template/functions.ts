/** The functions a template can call: Go's own, and those that docker and podman add. */

import { TemplateError } from "./error.ts";
import { mapEntries, printValue, sprintf, typeName } from "./print.ts";

export type TemplateFunction = (...values: unknown[]) => unknown;

export function isTrue(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === 0 || value === 0n || value === "")
    return false;
  if (Array.isArray(value)) return value.length > 0;
  return typeof value !== "object" || value instanceof Date || mapEntries(value).length > 0;
}

function text(value: unknown, name: string): string {
  if (typeof value === "string") return value;
  throw new TemplateError(`Cannot call ${name}: expected a string, got ${typeName(value)}`);
}

function whole(value: unknown, name: string): number {
  if (typeof value === "number" && Number.isInteger(value)) return value;
  throw new TemplateError(`Cannot call ${name}: expected a whole number, got ${typeName(value)}`);
}

/** `{{json .}}`: compact, as docker writes it; what Go calls nil is null. */
function json(value: unknown): string {
  return JSON.stringify(value === undefined ? null : value, (_, item: unknown) => {
    if (item instanceof Map) return Object.fromEntries(item);
    return typeof item === "bigint" ? Number(item) : item;
  });
}

function index(value: unknown, ...keys: unknown[]): unknown {
  return keys.reduce((from, key) => indexOne(from, key), value);
}

function indexOne(from: unknown, key: unknown): unknown {
  if (from === null || from === undefined) throw new TemplateError("Cannot call index: the value is nil");
  if (typeof from === "string" || Array.isArray(from)) {
    const at = whole(key, "index");
    if (at < 0 || at >= from.length) {
      throw new TemplateError(`Cannot call index: ${at} is out of range, length is ${from.length}`);
    }
    return typeof from === "string" ? from.charCodeAt(at) : from[at];
  }
  if (typeof from !== "object") throw new TemplateError(`Cannot call index: ${typeName(from)} has no entries`);
  const name = text(key, "index");
  if (from instanceof Map) return from.get(name);
  if (Object.hasOwn(from, name)) return (from as Record<string, unknown>)[name];
  // Go gives the zero value of what the map holds; a map of strings, as labels are, has "".
  return Object.values(from).every((item) => typeof item === "string") ? "" : undefined;
}

function slice(value: unknown, ...bounds: unknown[]): unknown {
  if (typeof value !== "string" && !Array.isArray(value)) {
    throw new TemplateError(`Cannot call slice: ${typeName(value)} cannot be sliced`);
  }
  const [from = 0, to = value.length] = bounds.map((bound) => whole(bound, "slice"));
  if (from < 0 || to > value.length || from > to) {
    throw new TemplateError(`Cannot call slice: ${from} to ${to} is out of range, length is ${value.length}`);
  }
  return value.slice(from, to);
}

function length(value: unknown): number {
  if (typeof value === "string") return Buffer.byteLength(value);
  if (Array.isArray(value)) return value.length;
  if (typeof value === "object" && value !== null) return mapEntries(value).length;
  throw new TemplateError(`Cannot call len: ${typeName(value)} has no length`);
}

function same(a: unknown, b: unknown): boolean {
  const absent = (value: unknown) => value === null || value === undefined;
  if (absent(a) || absent(b)) return absent(a) && absent(b);
  if (typeof a !== typeof b) throw incompatible(a, b);
  if (typeof a === "object") throw new TemplateError(`Cannot compare: ${typeName(a)} is not a basic type`);
  return a === b;
}

function incompatible(a: unknown, b: unknown): TemplateError {
  return new TemplateError(`Cannot compare: ${typeName(a)} and ${typeName(b)} are different types`);
}

function less(a: unknown, b: unknown): boolean {
  if (typeof a === "string" && typeof b === "string") return a < b;
  if (typeof a === "number" && typeof b === "number") return a < b;
  throw incompatible(a, b);
}

/** Go's print puts a blank between two operands when neither is a string. */
function print(...values: unknown[]): string {
  let out = "";
  values.forEach((value, i) => {
    if (i > 0 && typeof value !== "string" && typeof values[i - 1] !== "string") out += " ";
    out += printValue(value);
  });
  return out;
}

const HTML: Record<string, string> = {
  "<": "&lt;",
  ">": "&gt;",
  "&": "&amp;",
  '"': "&#34;",
  "'": "&#39;",
  "\0": "\uFFFD",
};

function escapeJs(value: string): string {
  const named: Record<string, string> = { "\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E" };
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is escaped
  return value.replace(/[\\'"<>&=\u0000-\u001f]/g, (c) => {
    return named[c] ?? `\\u${c.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`;
  });
}

function urlQuery(value: string): string {
  return encodeURIComponent(value)
    .replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)
    .replaceAll("%20", "+");
}

function trim(value: unknown, cutset?: unknown): string {
  const from = text(value, "trim");
  if (cutset === undefined) return from.trim();
  const unwanted = new Set(text(cutset, "trim"));
  const letters = [...from];
  while (letters.length > 0 && unwanted.has(letters[0] ?? "")) letters.shift();
  while (letters.length > 0 && unwanted.has(letters.at(-1) ?? "")) letters.pop();
  return letters.join("");
}

function join(list: unknown, separator: unknown): string {
  if (!Array.isArray(list)) throw new TemplateError(`Cannot call join: expected a list, got ${typeName(list)}`);
  return list.map((item) => (typeof item === "string" ? item : printValue(item))).join(text(separator, "join"));
}

function padded(value: unknown, before: unknown, after: unknown): string {
  const from = text(value, "pad");
  // Docker leaves an empty string unpadded, so that empty columns stay empty.
  return from === "" ? "" : " ".repeat(whole(before, "pad")) + from + " ".repeat(whole(after, "pad"));
}

/** A function and how many values it takes. `and` and `or`, which look at no more than they need, are the evaluator's. */
export interface FunctionSpec {
  call: TemplateFunction;
  min: number;
  max: number;
}

function takes(min: number, max: number, call: TemplateFunction): FunctionSpec {
  return { call, min, max };
}

export const FUNCTIONS: ReadonlyMap<string, FunctionSpec> = new Map(
  Object.entries({
    and: takes(1, Infinity, (...values) => values.reduce((all, value) => (isTrue(all) ? value : all))),
    or: takes(1, Infinity, (...values) => values.reduce((any, value) => (isTrue(any) ? any : value))),
    not: takes(1, 1, (value) => !isTrue(value)),
    eq: takes(2, Infinity, (first, ...others) => others.some((other) => same(first, other))),
    ne: takes(2, 2, (a, b) => !same(a, b)),
    lt: takes(2, 2, less),
    le: takes(2, 2, (a, b) => !less(b, a)),
    gt: takes(2, 2, (a, b) => less(b, a)),
    ge: takes(2, 2, (a, b) => !less(a, b)),
    index: takes(1, Infinity, index),
    slice: takes(1, 3, slice),
    len: takes(1, 1, length),
    print: takes(0, Infinity, print),
    println: takes(0, Infinity, (...values) => `${values.map(printValue).join(" ")}\n`),
    printf: takes(1, Infinity, (format, ...values) => sprintf(text(format, "printf"), values)),
    html: takes(1, Infinity, (...values) => print(...values).replace(/[<>&"'\0]/g, (c) => HTML[c] ?? c)),
    js: takes(1, Infinity, (...values) => escapeJs(print(...values))),
    urlquery: takes(1, Infinity, (...values) => urlQuery(print(...values))),
    call: takes(1, Infinity, (callee, ...values) => {
      if (typeof callee === "function") return callee(...values);
      throw new TemplateError(`Cannot call a ${typeName(callee)}: it is not a function`);
    }),
    json: takes(1, 1, json),
    split: takes(2, 2, (value, separator) => text(value, "split").split(text(separator, "split"))),
    join: takes(2, 2, join),
    title: takes(1, 1, (value) => text(value, "title").replace(/(^|\s)(\S)/g, (found) => found.toUpperCase())),
    lower: takes(1, 1, (value) => text(value, "lower").toLowerCase()),
    upper: takes(1, 1, (value) => text(value, "upper").toUpperCase()),
    trim: takes(1, 2, trim),
    pad: takes(3, 3, padded),
    truncate: takes(2, 2, (value, size) => [...text(value, "truncate")].slice(0, whole(size, "truncate")).join("")),
  }),
);

/** For a table's header row: whatever is done to a column leaves its heading alone. */
export const HEADER_FUNCTIONS: ReadonlyMap<string, FunctionSpec> = new Map(
  [...FUNCTIONS].map(([name, spec]) => {
    const keeps = ["json", "split", "join", "title", "lower", "upper", "trim", "pad", "truncate", "slice"].includes(
      name,
    );
    return [name, keeps ? { ...spec, call: (value: unknown) => value } : spec];
  }),
);
