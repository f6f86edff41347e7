import { TsboxError } from "../../base/error.ts";
import { boolean } from "../flags.ts";
import { defineVerb, engineOf, forEachWord } from "../verb.ts";

export default defineVerb({
  name: "rm",
  usage: "CONTAINER…",
  summary: "Remove containers with their files.",
  flags: {
    force: boolean({ short: "f", help: "kill running containers first; a missing container is no failure" }),
    volumes: boolean({ short: "v", help: "remove their anonymous volumes as well" }),
  },
  words: { min: 1 },
  examples: [
    ["tsbox rm web", "remove a container that has ended"],
    ["tsbox rm -f $(tsbox ps -aq)", "remove all containers"],
  ],
  async act({ flags, words }, context) {
    const { remove } = await import("../../engine/remove.ts");
    const { errorText } = await import("../print-error.ts");
    const engine = engineOf(context);
    const present = flags.force ? words.filter(isThere) : words;
    return forEachWord(present, context, (word) =>
      remove(engine, word, { force: flags.force, volumes: flags.volumes }),
    );

    /** docker says what is missing, and does not count it as a failure. */
    function isThere(word: string): boolean {
      try {
        engine.containers.find(word);
      } catch (error) {
        if (error instanceof TsboxError && error.code === "NO_SUCH_CONTAINER") {
          context.stderr.write(errorText(error, false));
          return false;
        }
      }
      return true;
    }
  },
});
