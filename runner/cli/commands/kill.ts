import { value } from "../flags.ts";
import { parseSignal } from "../options/signal.ts";
import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
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
    ...SELECTION_FLAGS,
  },
  words: { min: 0 },
  sweeps: true,
  examples: [
    ["tsbox kill web", "SIGKILL"],
    ["tsbox kill -s HUP web", "ask a server to read its configuration again"],
  ],
  async act({ flags, words: given }, context) {
    const { kill } = await import("../../engine/stop.ts");
    const engine = engineOf(context);
    const words = await selectContainers(engine, given, flags, { command: "kill", statuses: ["running", "paused"] });
    return forEachWord(words, context, async (word) => kill(engine, word, flags.signal ?? "SIGKILL"));
  },
});
