import { boolean, value } from "../flags.ts";
import { parseDetachKeys } from "../options/detach-keys.ts";
import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { UsageError } from "../usage-error.ts";
import { AT_ONCE, defineVerb, engineOf, forEachWord } from "../verb.ts";

export default defineVerb({
  name: "start",
  usage: "CONTAINER…",
  summary: "Start containers that were made or have ended.",
  description:
    "A container that starts again keeps its files, id, name and host name. " +
    "No daemon starts containers after a reboot: --filter should-start-after-boot=true selects those with --restart always, and those with " +
    "unless-stopped that nobody has stopped. As a user unit of systemd, with lingering enabled: ExecStart=tsbox start --filter " +
    "should-start-after-boot=true, Type=oneshot, RemainAfterExit=yes.",
  flags: {
    attach: boolean({ short: "a", help: "show its output, pass signals on, and end with its status" }),
    interactive: boolean({ short: "i", help: "attach, and pass standard input on" }),
    detachKeys: value(parseDetachKeys, {
      placeholder: "KEYS",
      help: 'keys that leave a terminal and let the program go on (default "ctrl-p,ctrl-q")',
    }),
    sigProxy: boolean({ default: true, help: "with --attach: pass signals on (default true)" }),
    all: boolean({ help: SELECTION_FLAGS.all.help }),
    latest: SELECTION_FLAGS.latest,
    filter: SELECTION_FLAGS.filter,
  },
  words: { min: 0 },
  sweeps: true,
  examples: [
    ["tsbox start web db", "two containers, in the background"],
    ["tsbox start -ai shell", "a shell as it was left"],
    [
      "tsbox start --all --filter restart-policy=always",
      "what a reboot has ended; of use in a unit or crontab's @reboot",
    ],
  ],
  async act({ flags, words: given }, context) {
    const engine = engineOf(context);
    const selected = await selectContainers(engine, given, flags, {
      command: "start",
      statuses: ["created", "exited"],
    });
    // the oldest first: what shares another one's namespaces was made after it
    const words = given.length > 0 ? selected : selected.reverse();
    const { start, startAttached, needsOthers } = await import("../../engine/start.ts");
    if (!flags.attach && !flags.interactive) {
      const atOnce = words.some((word) => needsOthers(engine, word)) ? 1 : AT_ONCE;
      return forEachWord(words, context, (word) => start(engine, word), { atOnce });
    }
    const [word] = words;
    if (word === undefined || words.length > 1) {
      throw new UsageError("Cannot attach to several containers at once: name one", { exitCode: 1 });
    }
    return startAttached(engine, word, {
      stdin: flags.interactive,
      keys: flags.detachKeys,
      signalProxy: flags.sigProxy,
    });
  },
});
