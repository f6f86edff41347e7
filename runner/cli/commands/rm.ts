import { TsboxError } from "../../base/error.ts";
import { boolean, list, value } from "../flags.ts";
import { parseStopTimeout } from "../options/stop-timeout.ts";
import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { AT_ONCE, defineVerb, engineOf, forEachWord } from "../verb.ts";

export default defineVerb({
  name: "rm",
  usage: "CONTAINER…",
  summary: "Remove containers with their files.",
  flags: {
    force: boolean({ short: "f", help: "kill running containers first; a missing container is no failure" }),
    volumes: boolean({ short: "v", help: "remove their anonymous volumes as well" }),
    time: value(parseStopTimeout, {
      short: "t",
      placeholder: "SECONDS",
      help: "with --force: ask by the stop signal first, and wait so long",
    }),
    all: SELECTION_FLAGS.all,
    latest: SELECTION_FLAGS.latest,
    filter: list({ placeholder: "KEY=VALUE", help: SELECTION_FLAGS.filter.help }),
    cidfile: SELECTION_FLAGS.cidfile,
  },
  words: { min: 0 },
  sweeps: true,
  examples: [
    ["tsbox rm web", "remove a container that has ended"],
    ["tsbox rm -f $(tsbox ps -aq)", "remove all containers"],
  ],
  async act({ flags, words: given }, context) {
    const { remove } = await import("../../engine/remove.ts");
    const { errorText } = await import("../print-error.ts");
    const engine = engineOf(context);
    const words = await selectContainers(engine, given, flags, { command: "rm" });
    const present = flags.force ? words.filter(isThere) : words;
    const options = {
      force: flags.force,
      volumes: flags.volumes,
      ...(flags.time === undefined ? {} : { timeout: flags.time }),
    };
    return forEachWord(present, context, (word) => remove(engine, word, options), { atOnce: AT_ONCE });

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
