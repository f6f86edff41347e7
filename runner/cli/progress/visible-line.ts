import { visible } from "../../base/error.ts";

/** Colours of a step's output stay, what moves the cursor does not. */
export function visibleLine(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const kept = line.replace(/^.*\r(?=.)/, "").split(/(\u001b\[[0-9;]*m)/);
  return kept.map((part, index) => (index % 2 === 1 ? part : visible(part).replaceAll("\\x09", "\t"))).join("");
}
