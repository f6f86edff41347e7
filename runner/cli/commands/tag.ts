import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "tag",
  usage: "IMAGE NAME…",
  summary: "Give an image more names.",
  flags: {},
  words: { min: 2 },
  examples: [
    ["tsbox tag busybox:1.37.0 busybox:mine", "a second tag"],
    ["tsbox tag 4f4fb700ef54 localhost:5000/app:1", "a name for an image known by its id"],
  ],
  async act({ words: [source = "", ...names] }, context) {
    const { tag } = await import("../../engine/tag.ts");
    const engine = engineOf(context);
    for (const name of names) await tag(engine, source, name);
  },
});
