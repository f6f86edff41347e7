import type { Stream } from "../../engine/run-options.ts";
import { UsageError } from "../usage-error.ts";

/** `--attach STREAM`; podman knows `none`, too. */
export function parseStreams(text: string): Stream[] {
  const word = text.toLowerCase();
  if (word === "none") return [];
  if (word === "stdin" || word === "stdout" || word === "stderr") return [word];
  throw new UsageError(`unknown stream "${text}", expected stdin, stdout, stderr or none`);
}
