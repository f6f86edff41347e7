import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { defineVerb, engineOf, forEachWord } from "../verb.ts";

export default defineVerb({
  name: "unpause",
  usage: "CONTAINER…",
  summary: "Let all processes of paused containers go on.",
  flags: SELECTION_FLAGS,
  words: { min: 0 },
  examples: [
    ["tsbox unpause web", "SIGCONT to each of its processes"],
    ["tsbox unpause --all", "everything that is paused"],
  ],
  async act({ flags, words: given }, context) {
    const engine = engineOf(context);
    const words = await selectContainers(engine, given, flags, { command: "unpause", statuses: ["paused"] });
    const { unpause } = await import("../../engine/pause.ts");
    return forEachWord(words, context, (word) => unpause(engine, word));
  },
});
