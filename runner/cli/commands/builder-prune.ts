import { confirmed } from "../confirm.ts";
import { boolean, list } from "../flags.ts";
import { printPruned } from "../print-pruned.ts";
import { filterNotice, untilOption } from "../prune-filters.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "builder prune",
  usage: "",
  summary: "Forget steps of builds whose layers no image has; with --all, every step and what RUN steps cached.",
  flags: {
    all: boolean({ short: "a", help: "everything, not only what no image has" }),
    force: boolean({ short: "f", help: "do not ask" }),
    filter: list({ placeholder: "KEY=VALUE", help: "until=TIME: what was not used since" }),
  },
  words: { min: 0, max: 0 },
  examples: [["tsbox builder prune -f --filter until=168h", "what no build has used for a week"]],
  async act({ flags }, context) {
    const other = flags.filter.find((word) => !word.startsWith("until="));
    if (other !== undefined) {
      throw new UsageError(`Cannot filter by ${JSON.stringify(other)}: unknown key`, {
        hint: "known is until",
        exitCode: 1,
      });
    }
    const which = flags.all ? "all build cache" : "all dangling build cache";
    const warning = `This will remove ${which}.${filterNotice(flags.filter)}`;
    if (!flags.force && !(await confirmed(context, warning))) return 1;
    const { pruneBuildCache } = await import("../../engine/prune.ts");
    const { sweep } = await import("../../engine/sweep.ts");
    const engine = engineOf(context);
    const { removed, bytes } = await pruneBuildCache(engine, {
      all: flags.all,
      ...untilOption(flags.filter, context.now()),
    });
    const swept = (await sweep(engine)) ?? 0;
    printPruned(context.stdout, [["build cache objects", removed]], bytes + swept);
    return 0;
  },
});
