import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "rename",
  usage: "CONTAINER NAME",
  summary: "Give a container another name.",
  flags: {},
  words: { min: 2, max: 2 },
  sweeps: true,
  examples: [
    ["tsbox rename web old-web", "the name web is free again"],
    ["tsbox rename 3f2a web", "a container is named by the beginning of its id, too"],
  ],
  async act({ words: [word = "", name = ""] }, context) {
    const { rename } = await import("../../engine/rename.ts");
    rename(engineOf(context), word, name);
  },
});
