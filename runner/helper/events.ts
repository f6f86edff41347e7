import { readFileSync } from "node:fs";
import type { HelperEvent } from "../plan/types.ts";
import { decodeEvent } from "./wire.ts";

/** Whole text of an events file; lines that do not parse are left out. */
export function readEvents(path: string | number): HelperEvent[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  return text.split("\n").flatMap((line) => decodeEvent(line) ?? []);
}
