import { TsboxError } from "../../base/error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "container exists",
  usage: "CONTAINER",
  summary: "Tell by the exit status whether there is such a container: 0 there is, 1 there is none.",
  flags: {},
  words: { min: 1, max: 1 },
  examples: [["tsbox container exists web && tsbox rm -f web", "remove it if it is there"]],
  async act({ words: [word = ""] }, context) {
    try {
      engineOf(context).containers.find(word);
      return 0;
    } catch (error) {
      if (error instanceof TsboxError && error.code === "NO_SUCH_CONTAINER") return 1;
      throw error;
    }
  },
});
