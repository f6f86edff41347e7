import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { defineVerb, engineOf, forEachWord } from "../verb.ts";

export default defineVerb({
  name: "pause",
  usage: "CONTAINER…",
  summary: "Stop all processes of containers where they stand.",
  description: "Each process gets SIGSTOP, again until none moves any more; it cannot refuse, but its parent sees it.",
  flags: SELECTION_FLAGS,
  words: { min: 0 },
  examples: [
    ["tsbox pause web", 'it uses no processor until "tsbox unpause web"'],
    ["tsbox pause --all", "everything that runs"],
  ],
  async act({ flags, words: given }, context) {
    const engine = engineOf(context);
    const words = await selectContainers(engine, given, flags, { command: "pause", statuses: ["running"] });
    const { pause } = await import("../../engine/pause.ts");
    return forEachWord(words, context, (word) => pause(engine, word));
  },
});
