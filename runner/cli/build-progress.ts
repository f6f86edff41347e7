/** How a build is shown: moving lines on a terminal, lines of steps and their output elsewhere, or events as JSON for programs. */

import { visible } from "../base/error.ts";
import type { BuildEvent } from "../build/options.ts";
import type { Context, Output } from "./context.ts";
import { visibleLine } from "./progress/visible-line.ts";

export type ProgressMode = "auto" | "tty" | "plain" | "json" | "quiet";

export interface BuildPrinter {
  tell(event: BuildEvent): void;
  /** Standard error for everybody else meanwhile: whole lines. */
  stderr: Output;
  /** Leaves the terminal as it was; to be called whatever became of the build. */
  end(): void;
}

export async function buildPrinter(
  { stderr, env, now }: Pick<Context, "stderr" | "env" | "now">,
  mode: ProgressMode,
): Promise<BuildPrinter> {
  const canDraw = stderr.isTTY === true && env.TERM !== "dumb";
  if (mode === "tty" || (mode === "auto" && canDraw)) {
    const { BuildScreen } = await import("./progress/build-screen.ts");
    const screen = new BuildScreen(stderr, now);
    return {
      tell: (event) => screen.tell(event),
      stderr: { write: (text) => screen.above(text), isTTY: stderr.isTTY === true },
      end: () => screen.end(),
    };
  }
  return { tell: lines(stderr, mode), stderr, end() {} };
}

function lines(output: Output, mode: ProgressMode): (event: BuildEvent) => void {
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
        output.write(
          `${head(event.step)}#${event.step} ${event.canceled ? paint.dim("CANCELED") : paint.red("FAILED")}\n`,
        );
        return;
      case "note":
        output.write(`note: ${visible(event.text)}\n`);
    }
  };
}

function colours(wanted: boolean) {
  const code = (on: number) => (text: string) => (wanted ? `\x1b[${on}m${text}\x1b[0m` : text);
  return { bold: code(1), dim: code(2), red: code(31) };
}
