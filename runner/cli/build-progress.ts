/** How a build is shown: lines of steps and their output, or events as JSON for programs. */

import { visible } from "../base/error.ts";
import type { BuildEvent } from "../build/options.ts";
import type { Output } from "./context.ts";

export type ProgressMode = "auto" | "plain" | "json" | "quiet";

export function showBuild(output: Output, mode: ProgressMode): (event: BuildEvent) => void {
  if (mode === "quiet") return () => {};
  if (mode === "json") return (event) => void output.write(`${JSON.stringify(event)}\n`);
  const paint = colours(mode === "auto" && output.isTTY === true);
  const names = new Map<number, string>();
  let last = 0;
  // stages run side by side: a line says whose it is when that changes
  const head = (step: number) => {
    const name = names.get(step) ?? `#${step}`;
    if (last === step) return "";
    last = step;
    return `${paint.bold(name)}\n`;
  };
  return (event) => {
    switch (event.type) {
      case "step": {
        const stage = event.stage === "" ? "" : `${event.stage} `;
        names.set(event.step, `#${event.step} [${stage}${event.of}] ${visible(event.name)}`);
        output.write(head(event.step));
        return;
      }
      case "output":
        output.write(`${head(event.step)}#${event.step} ${visibleLine(event.line)}\n`);
        return;
      case "why":
        output.write(`${head(event.step)}#${event.step} ${paint.dim(`why: ${visible(event.reason)}`)}\n`);
        return;
      case "cached":
        output.write(`${head(event.step)}#${event.step} ${paint.dim("CACHED")}\n`);
        return;
      case "done":
        output.write(
          `${head(event.step)}#${event.step} ${paint.dim(`DONE ${(event.milliseconds / 1000).toFixed(1)}s`)}\n`,
        );
        return;
      case "failed":
        output.write(`${head(event.step)}#${event.step} ${paint.red("FAILED")}\n`);
        return;
      case "note":
        output.write(`note: ${visible(event.text)}\n`);
    }
  };
}

/** Colours of a step's output stay, what moves the cursor does not. */
function visibleLine(line: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const kept = line.replace(/^.*\r(?=.)/, "").split(/(\u001b\[[0-9;]*m)/);
  return kept.map((part, index) => (index % 2 === 1 ? part : visible(part).replaceAll("\\x09", "\t"))).join("");
}

function colours(wanted: boolean) {
  const code = (on: number) => (text: string) => (wanted ? `\x1b[${on}m${text}\x1b[0m` : text);
  return { bold: code(1), dim: code(2), red: code(31) };
}
