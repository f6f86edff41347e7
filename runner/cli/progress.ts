/** How a pull, push or load is shown: a bar a layer on a terminal, a line an event elsewhere, nothing with `--quiet`. */

import type { Output } from "./context.ts";
import { shortId } from "./table.ts";
import { humanSize } from "./units.ts";

export type Phase = "waiting" | "downloading" | "unpacking" | "done" | "exists" | "pushing" | "pushed" | "mounted";

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

const WORDS: Record<Phase, string> = {
  waiting: "waiting",
  downloading: "downloading",
  unpacking: "unpacking",
  done: "pull complete",
  exists: "already here",
  pushing: "pushing",
  pushed: "pushed",
  mounted: "mounted from another repository",
};

export function makeProgress(output: Output, quiet: boolean, now: () => number): Progress {
  if (quiet) return { update() {}, end() {} };
  return output.isTTY ? bars(output, now) : lines(output);
}

/** Off a terminal (logs of CI) only changes of phase are told: no line is ever overwritten, and none comes a hundred times. */
function lines(output: Output): Progress {
  const told = new Map<string, Phase>();
  return {
    update({ layer, phase, total }) {
      if (told.get(layer) === phase || phase === "waiting") return;
      told.set(layer, phase);
      output.write(
        `${shortId(layer)}: ${WORDS[phase]}${(phase === "downloading" || phase === "pushing") && total ? ` ${humanSize(total)}` : ""}\n`,
      );
    },
    end() {},
  };
}

/** Time between two drawings: more often only costs. */
const FRAME = 80;

function bars(output: Output, now: () => number): Progress {
  const layers = new Map<string, ProgressEvent>();
  let drawn = 0;
  let last = 0;
  const draw = () => {
    last = now();
    const up = drawn > 0 ? `\x1b[${drawn}A` : "";
    const rows = [...layers.values()].map((event) => `\r\x1b[2K${progressLine(event, output.columns ?? 80)}\n`);
    drawn = rows.length;
    output.write(up + rows.join(""));
  };
  return {
    update(event) {
      const phaseChanged = layers.get(event.layer)?.phase !== event.phase;
      layers.set(event.layer, event);
      if (phaseChanged || now() - last >= FRAME) draw();
    },
    end() {
      if (layers.size > 0) draw();
    },
  };
}

/** `4f4fb700ef54: downloading [=====>     ] 1.2MB/4.3MB`, never wider than the terminal, which would break the redrawing. */
export function progressLine({ layer, phase, current = 0, total = 0 }: ProgressEvent, columns: number): string {
  const head = `${shortId(layer)}: ${WORDS[phase]}`;
  if (!["downloading", "unpacking", "pushing"].includes(phase) || total <= 0) return head.slice(0, columns - 1);
  const tail = ` ${humanSize(Math.min(current, total))}/${humanSize(total)}`;
  const width = Math.min(40, columns - 1 - head.length - tail.length - 3);
  if (width < 5) return (head + tail).slice(0, columns - 1);
  const filled = Math.floor((Math.min(current, total) / total) * width);
  const bar = filled >= width ? "=".repeat(width) : `${"=".repeat(filled)}>`.padEnd(width);
  return `${head} [${bar}]${tail}`;
}
