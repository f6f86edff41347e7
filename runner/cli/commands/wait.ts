import { list, value } from "../flags.ts";
import { errorText } from "../print-error.ts";
import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { parseDuration } from "../units.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

const CONDITIONS = "configured created running paused restarting exited stopped healthy unhealthy removed".split(" ");

export default defineVerb({
  name: "wait",
  usage: "CONTAINER…",
  summary: "Wait until containers have ended, and print their exit codes.",
  description:
    "With --condition: until one of the conditions holds; -1 stands for the exit code of what has not ended.",
  flags: {
    condition: list({ placeholder: "CONDITION", help: `any of ${CONDITIONS.join(", ")}` }, parseCondition),
    interval: value(parseInterval, { short: "i", placeholder: "TIME", help: "how often to look, with --condition" }),
    latest: SELECTION_FLAGS.latest,
    all: SELECTION_FLAGS.all,
    cidfile: SELECTION_FLAGS.cidfile,
  },
  words: { min: 0 },
  examples: [
    ["tsbox wait job", "block until job has ended"],
    ["tsbox wait --condition healthy web", "block until its health check has succeeded"],
  ],
  async act({ flags, words: given }, context) {
    const engine = engineOf(context);
    const words = await selectContainers(engine, given, flags, { command: "wait" });
    const { wait, waitFor } = await import("../../engine/wait.ts");
    const conditions = flags.condition.flat();
    // All at once: one that ends early and is removed (--rm) must not be missed while another is waited for.
    const outcomes = await Promise.allSettled(
      words.map((word) =>
        conditions.length === 0 ? wait(engine, word) : waitFor(engine, word, conditions, flags.interval),
      ),
    );
    let status = 0;
    for (const outcome of outcomes) {
      if (outcome.status === "fulfilled") context.stdout.write(`${outcome.value}\n`);
      else {
        context.stderr.write(errorText(outcome.reason, context.debug));
        status = 1;
      }
    }
    return status;
  },
});

function parseCondition(text: string): string[] {
  const words = text.split(",");
  for (const word of words) if (!CONDITIONS.includes(word)) throw new UsageError(`expected ${CONDITIONS.join(", ")}`);
  return words;
}

/** podman: a bare number counts milliseconds. */
function parseInterval(text: string): number {
  return Math.max(1, /^\d+$/.test(text) ? Number(text) : parseDuration(text));
}
