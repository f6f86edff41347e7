/** `-l KEY[=VALUE]` and `--label-file`. */

import { UsageError } from "../usage-error.ts";
import { linesOf } from "./environment.ts";

export function parseLabels(words: readonly string[]): Record<string, string> {
  // Entries, not assignments: a label may be called "__proto__".
  return Object.fromEntries(words.map(splitLabel));
}

export function labelFileLines(text: string): string[] {
  return [...linesOf(text)].map(({ line }) => line);
}

function splitLabel(word: string): [string, string] {
  const equals = word.indexOf("=");
  const key = equals < 0 ? word : word.slice(0, equals);
  if (key === "") throw new UsageError(`Cannot set label "${word}": it has no key`);
  return [key, equals < 0 ? "" : word.slice(equals + 1)];
}
