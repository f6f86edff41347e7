import type { Output } from "./context.ts";
import { humanSize } from "./units.ts";

/** docker's words after a prune. */
export function printPruned(
  output: Output,
  sections: readonly (readonly [title: string, removed: readonly string[]])[],
  bytes: number,
): void {
  for (const [title, removed] of sections) {
    if (removed.length > 0) output.write(`Deleted ${title}:\n${removed.join("\n")}\n\n`);
  }
  output.write(`Total reclaimed space: ${humanSize(bytes, 4)}\n`);
}
