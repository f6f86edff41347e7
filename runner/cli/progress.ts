/**
 * How a transfer of layers is shown: bars on a terminal, a line an event elsewhere, JSON for programs, nothing with `--quiet`. All of it goes to
 * standard error; standard output is for the result.
 */

import type { Context, Output } from "./context.ts";
import { boolean, choice, type Flags } from "./flags.ts";
import { Bars } from "./progress/bars.ts";
import { jsonLines } from "./progress/json.ts";
import { plainLines } from "./progress/plain.ts";

export type Phase =
  | "waiting"
  | "downloading"
  | "unpacking"
  | "done"
  | "exists"
  | "pushing"
  | "pushed"
  | "mounted"
  | "skipped";

export interface ProgressEvent {
  /** Digest of the layer. */
  layer: string;
  phase: Phase;
  /** Bytes so far and in all; 0 in all: not known. */
  current?: number | undefined;
  total?: number | undefined;
}

export interface Progress {
  update(event: ProgressEvent): void;
  /** Draws the last state and leaves the terminal as it was. */
  end(): void;
}

export interface ProgressPrinter {
  /** Follows the layers of one image; one at a time. */
  start(subject: string): Progress;
  /** Standard error for everybody else meanwhile: what is written there stands above the bars. Whole lines. */
  stderr: Output;
}

export const PROGRESS_MODES = ["auto", "tty", "plain", "json", "none"] as const;
export type ProgressMode = (typeof PROGRESS_MODES)[number];

export const PROGRESS_FLAGS = {
  progress: choice(PROGRESS_MODES, {
    help: "bars, a line an event, or JSON lines, on standard error (default auto: bars on a terminal)",
  }),
  quiet: boolean({ short: "q", help: "show no progress" }),
} satisfies Flags;

const SILENT: Progress = { update() {}, end() {} };

export function progressPrinter(
  context: Pick<Context, "stderr" | "env" | "now">,
  flags: { progress?: ProgressMode | undefined; quiet?: boolean },
): ProgressPrinter {
  const { stderr, now } = context;
  const asked = flags.quiet ? "none" : (flags.progress ?? "auto");
  const canDraw = stderr.isTTY === true && context.env.TERM !== "dumb";
  const mode = asked === "auto" ? (canDraw ? "tty" : "plain") : asked;
  switch (mode) {
    case "none":
      return { start: () => SILENT, stderr };
    case "plain":
      return { start: () => plainLines(stderr, now), stderr };
    case "json":
      return { start: (subject) => jsonLines(stderr, subject, now), stderr };
    case "tty": {
      let bars: Bars | undefined;
      return {
        start: () => {
          bars = new Bars(stderr, now);
          return bars;
        },
        stderr: { ...windowOf(stderr), write: (text) => (bars ? bars.above(text) : stderr.write(text)) },
      };
    }
  }
}

function windowOf({ isTTY, columns }: Output): Partial<Output> {
  return { ...(isTTY !== undefined && { isTTY }), ...(columns !== undefined && { columns }) };
}
