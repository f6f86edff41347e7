import { parseDuration } from "../units.ts";

/** Milliseconds; -1 waits for ever, as in docker. */
export function parseStopTimeout(text: string): number {
  return text === "-1" ? Number.POSITIVE_INFINITY : parseDuration(text);
}
