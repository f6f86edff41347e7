import { value } from "../flags.ts";
import { parseSignal } from "../options/signal.ts";
import { parseStopTimeout } from "../options/stop-timeout.ts";
import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { defineVerb, engineOf, forEachWord } from "../verb.ts";

export default defineVerb({
  name: "stop",
  usage: "CONTAINER…",
  summary: "Ask containers to end by their stop signal; send SIGKILL when they have not after a while.",
  flags: {
    timeout: value(parseStopTimeout, {
      short: "t",
      aliases: ["time"],
      placeholder: "SECONDS",
      help: "time before SIGKILL (default 10, or the container's own); -1 waits for ever",
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
    const options = {
      ...(flags.timeout === undefined ? {} : { timeout: flags.timeout }),
      ...(flags.signal === undefined ? {} : { signal: flags.signal }),
    };
    return forEachWord(words, context, (word) => stop(engine, word, options));
  },
});
