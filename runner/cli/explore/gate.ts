/** What a CI job asks of an image: it fails when too much of it is waste. */

import type { Exploration } from "../../engine/explore/explore.ts";
import { humanSize, parseBytes } from "../units.ts";
import { UsageError } from "../usage-error.ts";
import { percent } from "./text.ts";

/** Bytes, or a share of all bytes that the layers store. */
export type WasteLimit = { bytes: number } | { share: number };

/** `5%`, `20MB`, `0`. */
export function parseWasteLimit(text: string): WasteLimit {
  if (!text.endsWith("%")) return { bytes: parseBytes(text) };
  return { share: parseShare(text) };
}

/** `95%` or `0.95`. */
export function parseShare(text: string): number {
  const match = /^(\d+(?:\.\d+)?|\.\d+)(%?)$/.exec(text);
  const share = match ? Number(match[1]) / (match[2] === "%" ? 100 : 1) : Number.NaN;
  if (!(share >= 0 && share <= 1)) throw new UsageError("expected a share such as 95% or 0.95");
  return share;
}

/** One sentence for each limit that the image breaks. */
export function gateProblems(
  { stack, efficiency, name }: Exploration,
  limits: { maxWaste?: WasteLimit | undefined; minEfficiency?: number | undefined },
): string[] {
  const problems: string[] = [];
  const { maxWaste, minEfficiency } = limits;
  const share = stack.stored === 0 ? 0 : stack.wasted / stack.stored;
  const wasted = `"${name}" wastes ${humanSize(stack.wasted)} (${percent(share)})`;
  if (maxWaste && "bytes" in maxWaste && stack.wasted > maxWaste.bytes) {
    problems.push(`${wasted}, allowed are ${humanSize(maxWaste.bytes)}`);
  }
  if (maxWaste && "share" in maxWaste && share > maxWaste.share) {
    problems.push(`${wasted}, allowed are ${percent(maxWaste.share)}`);
  }
  if (minEfficiency !== undefined && efficiency < minEfficiency) {
    problems.push(`"${name}" has an efficiency of ${percent(efficiency)}, required is ${percent(minEfficiency)}`);
  }
  return problems;
}
