import { value } from "../flags.ts";
import { parseSignal } from "../options/signal.ts";
import { parseStopTimeout } from "../options/stop-timeout.ts";
import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { defineVerb, engineOf, forEachWord } from "../verb.ts";

export default defineVerb({
  name: "restart",
  usage: "CONTAINER…",
  summary: "Stop containers and start them again, in the background.",
  flags: {
    timeout: value(parseStopTimeout, {
      short: "t",
      aliases: ["time"],
      placeholder: "SECONDS",
      help: "time before SIGKILL (default 10, or the container's own)",
    }),
    signal: value(parseSignal, {
      short: "s",
      placeholder: "SIGNAL",
      help: "send this signal instead of the stop signal",
    }),
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
    const options = {
      ...(flags.timeout === undefined ? {} : { timeout: flags.timeout }),
      ...(flags.signal === undefined ? {} : { signal: flags.signal }),
    };
    return forEachWord(words, context, (word) => restart(engine, word, options));
  },
});
