import { TsboxError } from "../../base/error.ts";
import { boolean } from "../flags.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf, forEachWord } from "../verb.ts";

export default defineVerb({
  name: "volume rm",
  usage: "VOLUME…",
  summary: "Remove volumes with what is in them. One that a container has, running or not, is refused.",
  flags: {
    force: boolean({ short: "f", help: "a missing volume is no failure" }),
    all: boolean({ short: "a", help: "all volumes that no container has" }),
  },
  words: { min: 0 },
  sweeps: true,
  examples: [
    ["tsbox volume rm data", "remove it for good"],
    ["tsbox volume rm -f data", "the same, also if there is none"],
  ],
  async act({ flags, words }, context) {
    if (words.length === 0 && !flags.all) {
      throw new UsageError("Cannot run tsbox volume rm: it takes at least 1 word, got 0", {
        hint: "usage: tsbox volume rm [FLAGS] VOLUME…",
        exitCode: 1,
      });
    }
    const { removeVolume, volumes } = await import("../../engine/volumes.ts");
    const engine = engineOf(context);
    const names = flags.all ? volumes(engine).flatMap(({ name, users }) => (users.length === 0 ? [name] : [])) : words;
    return forEachWord(names, context, async (word) => {
      try {
        await removeVolume(engine, word);
      } catch (error) {
        if (!(flags.force && error instanceof TsboxError && error.code === "NO_SUCH_VOLUME")) throw error;
      }
    });
  },
});
