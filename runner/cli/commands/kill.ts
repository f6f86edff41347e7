import { value } from "../flags.ts";
import { parseSignal } from "../options/signal.ts";
import { defineVerb, engineOf, forEachWord } from "../verb.ts";

export default defineVerb({
  name: "kill",
  usage: "CONTAINER…",
  summary: "Send a signal to the first process of running containers.",
  flags: {
    signal: value(parseSignal, {
      short: "s",
      placeholder: "SIGNAL",
      help: "name or number of the signal (default SIGKILL)",
    }),
  },
  words: { min: 1 },
  examples: [
    ["tsbox kill web", "SIGKILL"],
    ["tsbox kill -s HUP web", "ask a server to read its configuration again"],
  ],
  async act({ flags, words }, context) {
    const { kill } = await import("../../engine/stop.ts");
    const engine = engineOf(context);
    return forEachWord(words, context, async (word) => kill(engine, word, flags.signal ?? "SIGKILL"));
  },
});
