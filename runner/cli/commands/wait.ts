import { errorText } from "../print-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "wait",
  usage: "CONTAINER…",
  summary: "Wait until containers have ended, and print their exit codes.",
  flags: {},
  words: { min: 1 },
  examples: [
    ["tsbox wait job", "block until job has ended"],
    ["exit $(tsbox wait job)", "end a script with the status of the container"],
  ],
  async act({ words }, context) {
    const { wait } = await import("../../engine/wait.ts");
    const engine = engineOf(context);
    // All at once: one that ends early and is removed (--rm) must not be missed while another is waited for.
    const outcomes = await Promise.allSettled(words.map((word) => wait(engine, word)));
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
