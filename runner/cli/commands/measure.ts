import { treeSize } from "../../engine/tree-size.ts";
import { defineVerb } from "../verb.ts";

/** Hidden: executed inside the user namespace, for trees that are closed to the caller outside. */
export default defineVerb({
  name: "measure",
  usage: "PATH…",
  summary: "Say how many bytes each tree has.",
  flags: {},
  words: { min: 1 },
  examples: [],
  async act({ words }, context) {
    for (const path of words) context.stdout.write(`${treeSize(path).bytes}\n`);
  },
});
