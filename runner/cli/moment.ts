import { parseDuration } from "./units.ts";
import { UsageError } from "./usage-error.ts";

/** `--since`: a moment (`2024-05-01T10:00:00Z`, `2024-05-01`, seconds since 1970) or a time back from now (`10m`) → milliseconds since 1970. */
export function parseMoment(text: string, now: number): number {
  if (/^\d{9,}(\.\d+)?$/.test(text)) return Number(text) * 1000;
  const date = /^\d{4}-\d{2}-\d{2}(?:[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?)?$/.test(text);
  // A date without a clock is the start of that day here, as docker has it; JavaScript alone would take UTC.
  const time = date ? Date.parse(text.length === 10 ? `${text}T00:00:00` : text.replace(" ", "T")) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  try {
    return now - parseDuration(text);
  } catch {
    throw new UsageError("expected a time such as 2024-05-01T10:00:00, or a time back from now such as 10m");
  }
}
