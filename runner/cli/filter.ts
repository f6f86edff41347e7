/** `--filter KEY=VALUE`: values of one key are alternatives, different keys must all hold; labels must all hold. */

import { nearest } from "./suggest.ts";
import { UsageError } from "./usage-error.ts";

export type Filters = Map<string, string[]>;

export function parseFilters(words: readonly string[], known: readonly string[]): Filters {
  const filters: Filters = new Map();
  for (const word of words) {
    const equals = word.indexOf("=");
    const key = (equals < 0 ? word : word.slice(0, equals)).trim().toLowerCase();
    if (!known.includes(key)) {
      const near = nearest(key, known);
      throw new UsageError(`Cannot filter by ${JSON.stringify(word)}: unknown key`, {
        hint: near === undefined ? `known are ${known.join(", ")}` : `did you mean "${near}"?`,
        exitCode: 1,
      });
    }
    if (equals < 0) throw new UsageError(`Cannot filter by "${word}": expected KEY=VALUE`, { exitCode: 1 });
    filters.set(key, [...(filters.get(key) ?? []), word.slice(equals + 1).trim()]);
  }
  return filters;
}

export type Matcher<T> = (item: T, value: string) => boolean;

/** Keeps what passes all filters. */
export function applyFilters<T>(items: readonly T[], filters: Filters, matchers: Record<string, Matcher<T>>): T[] {
  return items.filter((item) =>
    [...filters].every(([key, values]) => {
      const matches = matchers[key];
      if (matches === undefined) return true;
      return key.startsWith("label") || key === "label!"
        ? values.every((v) => matches(item, v))
        : values.some((v) => matches(item, v));
    }),
  );
}

/** `KEY` or `KEY=VALUE`. */
export function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const equals = wanted.indexOf("=");
  const key = equals < 0 ? wanted : wanted.slice(0, equals);
  if (!Object.hasOwn(labels, key)) return false;
  return equals < 0 || labels[key] === wanted.slice(equals + 1);
}

/** Docker takes names as regular expressions; what is none is compared as text. */
export function matchesPattern(text: string, pattern: string): boolean {
  try {
    return new RegExp(pattern).test(text);
  } catch {
    return text.includes(pattern);
  }
}

/** Shell wildcards as in `reference=*:3.*`: neither `*` nor `?` crosses a slash. */
export function matchesGlob(text: string, glob: string): boolean {
  const pattern = glob
    .replace(/[.+^${}()|\\]/g, "\\$&")
    .replaceAll("*", "[^/]*")
    .replaceAll("?", "[^/]");
  try {
    return new RegExp(`^${pattern}$`).test(text);
  } catch {
    return text === glob;
  }
}

export function isTruthy(value: string, key: string): boolean {
  if (/^(1|true|t)$/i.test(value)) return true;
  if (/^(0|false|f)$/i.test(value)) return false;
  throw new UsageError(`Cannot filter by "${key}=${value}": expected true or false`, { exitCode: 1 });
}
