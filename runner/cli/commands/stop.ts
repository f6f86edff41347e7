import { STOP_FLAGS, stopOptions } from "../options/stop-flags.ts";
import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { AT_ONCE, defineVerb, engineOf, forEachWord } from "../verb.ts";

export default defineVerb({
  name: "stop",
  usage: "CONTAINER…",
  summary: "Ask containers to end by their stop signal; send SIGKILL when they have not after a while.",
  flags: {
    ...STOP_FLAGS,
    ...SELECTION_FLAGS,
  },
  words: { min: 0 },
  sweeps: true,
  examples: [
    ["tsbox stop web", "SIGTERM, and SIGKILL ten seconds later"],
    ["tsbox stop -t 0 web db", "end two containers at once"],
  ],
  async act({ flags, words: given }, context) {
    const { stop } = await import("../../engine/stop.ts");
    const engine = engineOf(context);
    const words = await selectContainers(engine, given, flags, {
      command: "stop",
      statuses: ["running", "paused", "restarting"],
    });
    const options = stopOptions(flags);
    return forEachWord(words, context, (word) => stop(engine, word, options), { atOnce: AT_ONCE });
  },
});
