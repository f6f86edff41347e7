/** Progress where no line can be drawn over, as in the log of a CI job: changes of phase, and now and then how far a long transfer is. */

import type { Output } from "../context.ts";
import type { Phase, Progress } from "../progress.ts";
import { shortId } from "../table.ts";
import { humanSize } from "../units.ts";
import { PHASES } from "./phases.ts";

/** Some CI systems end a job that says nothing for long. */
const SIGN_OF_LIFE = 10_000;

export function plainLines(output: Output, now: () => number): Progress {
  const told = new Map<string, { phase: Phase; time: number }>();
  return {
    update({ layer, phase, current = 0, total = 0 }) {
      const last = told.get(layer);
      const again = last?.phase === phase;
      if (phase === "waiting" || (again && now() - last.time < SIGN_OF_LIFE)) return;
      if (again && !PHASES[phase].moving) return;
      told.set(layer, { phase, time: now() });
      const size = phase === "unpacking" || total <= 0 ? "" : ` ${humanSize(total)}`;
      const far = again && total > 0 ? ` ${humanSize(current)} of ${humanSize(total)}` : size;
      output.write(`${shortId(layer)}: ${PHASES[phase].word}${PHASES[phase].moving ? far : ""}\n`);
    },
    end() {},
  };
}
