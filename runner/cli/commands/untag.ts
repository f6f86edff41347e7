import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "untag",
  usage: "IMAGE [NAME…]",
  summary: "Take names away from an image, all of them by default; the image stays.",
  flags: {},
  words: { min: 1 },
  examples: [
    ["tsbox untag busybox:mine", "all names of the image that has this one"],
    ["tsbox untag 4f4fb700ef54 localhost:5000/app:1", "one name of an image known by its id"],
  ],
  async act({ words: [image = "", ...names] }, context) {
    const { untag } = await import("../../engine/tag.ts");
    await untag(engineOf(context), image, names);
  },
});
