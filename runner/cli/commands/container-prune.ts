import { confirmed } from "../confirm.ts";
import { boolean, list } from "../flags.ts";
import { printPruned } from "../print-pruned.ts";
import { filterNotice, PRUNE_FILTERS, pruneFilter } from "../prune-filters.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "container prune",
  usage: "",
  summary: "Remove all containers that do not run.",
  flags: {
    force: boolean({ short: "f", help: "do not ask" }),
    filter: list({ placeholder: "KEY=VALUE", help: `only some of them, by ${PRUNE_FILTERS.join(", ")}` }),
  },
  words: { min: 0, max: 0 },
  sweeps: true,
  examples: [
    ["tsbox container prune -f", "all that do not run"],
    ["tsbox container prune -f --filter until=24h", "those that are older than a day"],
  ],
  async act({ flags }, context) {
    const filter = pruneFilter(flags.filter, context.now());
    const warning = `This will remove all stopped containers.${filterNotice(flags.filter)}`;
    if (!flags.force && !(await confirmed(context, warning))) return 1;
    const { pruneContainers } = await import("../../engine/prune.ts");
    const { removed, bytes } = await pruneContainers(engineOf(context), (containers) =>
      filter ? filter(containers, ({ record }) => record) : containers,
    );
    printPruned(context.stdout, [["Containers", removed]], bytes);
    return 0;
  },
});
