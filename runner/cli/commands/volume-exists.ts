import { TsboxError } from "../../base/error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "volume exists",
  usage: "VOLUME",
  summary: "Tell by the exit status if a volume exists: 0 if so, 1 if not.",
  flags: {},
  words: { min: 1, max: 1 },
  examples: [
    ["tsbox volume exists data", "silent; look at $?"],
    ["tsbox volume exists data || tsbox volume create data", "make it if it is not there"],
  ],
  async act({ words: [word = ""] }, context) {
    const { findVolume } = await import("../../engine/volumes.ts");
    try {
      findVolume(engineOf(context), word);
      return 0;
    } catch (error) {
      if (error instanceof TsboxError && error.code === "NO_SUCH_VOLUME") return 1;
      throw error;
    }
  },
});
