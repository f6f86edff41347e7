import { applyFilters, hasLabel, parseFilters } from "./filter.ts";
import { parseMoment } from "./moment.ts";

export const PRUNE_FILTERS = ["until", "label", "label!"];

/** What prunes look at, whatever it is. */
export interface Prunable {
  created?: string | undefined;
  labels: Readonly<Record<string, string>>;
}

/** `--filter` of the prunes; undefined when there is none, which some of them take as leave to remove more. */
export function pruneFilter(
  words: readonly string[],
  now: number,
): (<T>(items: T[], look: (item: T) => Prunable) => T[]) | undefined {
  if (words.length === 0) return undefined;
  const filters = parseFilters(words, PRUNE_FILTERS);
  const moments = new Map((filters.get("until") ?? []).map((text) => [text, parseMoment(text, now)]));
  return (items, look) =>
    applyFilters(items, filters, {
      until: (item, text) => Date.parse(look(item).created ?? "") < (moments.get(text) ?? 0),
      label: (item, text) => hasLabel(look(item).labels, text),
      "label!": (item, text) => !hasLabel(look(item).labels, text),
    });
}

export function onlyUntil(words: readonly string[]): boolean {
  return [...parseFilters(words, PRUNE_FILTERS).keys()].every((key) => key === "until");
}

/** The latest moment that `until` gives, for what is neither made nor labelled. */
export function untilOption(words: readonly string[], now: number): { before?: number } {
  const texts = parseFilters(words, PRUNE_FILTERS).get("until") ?? [];
  return texts.length === 0 ? {} : { before: Math.max(...texts.map((text) => parseMoment(text, now))) };
}

/** What docker adds to its question. */
export function filterNotice(words: readonly string[]): string {
  if (words.length === 0) return "";
  return `\n  Items to be pruned will be filtered with:\n${words.map((word) => `  - ${word}\n`).join("")}`;
}
