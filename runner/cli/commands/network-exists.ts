import { TsboxError } from "../../base/error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "network exists",
  usage: "NETWORK",
  summary: "Tell by the exit status whether there is such a network: 0 there is, 1 there is none.",
  flags: {},
  words: { min: 1, max: 1 },
  examples: [["tsbox network exists host", "0"]],
  async act({ words: [word = ""] }, context) {
    const { findNetwork, networks } = await import("../../engine/networks.ts");
    try {
      findNetwork(await networks(engineOf(context)), word);
      return 0;
    } catch (error) {
      if (error instanceof TsboxError && error.code === "NO_SUCH_NETWORK") return 1;
      throw error;
    }
  },
});
