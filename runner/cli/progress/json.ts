/** Progress for programs: one JSON object a line. ARCHITECTURE.md has the shape. */

import type { Output } from "../context.ts";
import type { Phase, Progress } from "../progress.ts";

/** Milliseconds between two lines of a layer that only moves on. */
const PACE = 250;

export function jsonLines(output: Output, image: string, now: () => number): Progress {
  const told = new Map<string, { phase: Phase; time: number }>();
  return {
    update({ layer, phase, current, total }) {
      const last = told.get(layer);
      const whole = current !== undefined && current === total;
      if (last?.phase === phase && !whole && now() - last.time < PACE) return;
      told.set(layer, { phase, time: now() });
      const time = new Date(now()).toISOString();
      output.write(`${JSON.stringify({ time, image, layer, phase, current, total })}\n`);
    },
    end() {},
  };
}
