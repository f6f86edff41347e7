import { STOP_FLAGS, stopOptions } from "../options/stop-flags.ts";
import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { AT_ONCE, defineVerb, engineOf, forEachWord } from "../verb.ts";

export default defineVerb({
  name: "restart",
  usage: "CONTAINER…",
  summary: "Stop containers and start them again, in the background.",
  flags: {
    ...STOP_FLAGS,
    ...SELECTION_FLAGS,
  },
  words: { min: 0 },
  sweeps: true,
  examples: [
    ["tsbox restart -t 1 web", "SIGTERM, SIGKILL a second later, then a start"],
    ["tsbox restart --all", "every container that there is"],
  ],
  async act({ flags, words: given }, context) {
    const engine = engineOf(context);
    const words = await selectContainers(engine, given, flags, { command: "restart" });
    const { restart } = await import("../../engine/start.ts");
    const options = stopOptions(flags);
    return forEachWord(words, context, (word) => restart(engine, word, options), { atOnce: AT_ONCE });
  },
});
