import { boolean, value } from "../flags.ts";
import { parseDetachKeys } from "../options/detach-keys.ts";
import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "attach",
  usage: "CONTAINER",
  summary: "Look at a running container's output from now on, and type into it.",
  description:
    "Several may look at once. The detach keys leave a terminal and let the program go on; its exit status is that of the program, if it ends meanwhile. " +
    "What a looker-on does not read in time is left out, and it is told so.",
  flags: {
    detachKeys: value(parseDetachKeys, {
      placeholder: "KEYS",
      help: 'keys that leave (default "ctrl-p,ctrl-q"; "" for none)',
    }),
    stdin: boolean({ default: true, help: "pass standard input on (default true; --no-stdin)" }),
    noStdin: boolean({ help: "do not pass standard input on" }),
    sigProxy: boolean({ default: true, help: "pass signals on, where there is no terminal (default true)" }),
    latest: SELECTION_FLAGS.latest,
  },
  words: { min: 0, max: 1 },
  startsProgram: true,
  examples: [
    ["tsbox attach web", "see what it prints; ctrl-p ctrl-q leaves, if it has a terminal"],
    ["tsbox attach --no-stdin web", "look only"],
  ],
  async act({ flags, words: given }, context) {
    const engine = engineOf(context);
    const [word = ""] = await selectContainers(engine, given, flags, { command: "attach" });
    const { attach } = await import("../../engine/attach.ts");
    attach(engine, word, {
      stdin: flags.stdin && !flags.noStdin,
      keys: flags.detachKeys,
      signalProxy: flags.sigProxy,
    });
  },
});
