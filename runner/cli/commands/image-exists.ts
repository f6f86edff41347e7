import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "image exists",
  usage: "IMAGE",
  summary: "Tell by the exit status whether an image is in the store: 0 it is, 1 it is not.",
  flags: {},
  words: { min: 1, max: 1 },
  examples: [["tsbox image exists alpine || tsbox pull alpine", "pull what is missing"]],
  async act({ words: [word = ""] }, context) {
    const { findImage } = await import("../../engine/stored-image.ts");
    return findImage(engineOf(context), word) === undefined ? 1 : 0;
  },
});
