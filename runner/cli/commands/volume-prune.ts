import type { ListedVolume } from "../../engine/volumes.ts";
import { confirmed } from "../confirm.ts";
import { parseFilters } from "../filter.ts";
import { boolean, list } from "../flags.ts";
import { filterVolumes, PRUNE_FILTERS } from "../rows-volumes.ts";
import { humanSize } from "../units.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "volume prune",
  usage: "",
  summary: "Remove anonymous volumes that no container has; with --all, named ones as well.",
  flags: {
    all: boolean({ short: "a", help: "named volumes, too" }),
    force: boolean({ short: "f", help: "do not ask" }),
    filter: list({ placeholder: "KEY=VALUE", help: `only some of them, by ${PRUNE_FILTERS.join(", ")}` }),
  },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox volume prune", "anonymous volumes that are left over"],
    ["tsbox volume prune -af --filter label=ci", "all unused volumes with the label ci"],
  ],
  async act({ flags }, context) {
    const filters = parseFilters(flags.filter, PRUNE_FILTERS);
    const all = flags.all || filters.get("all")?.includes("true") === true;
    const which = all ? "all volumes" : "the anonymous volumes";
    if (!flags.force && !(await confirmed(context, `This removes ${which} that no container has, for good.`))) return 1;
    const { pruneVolumes } = await import("../../engine/prune.ts");
    const engine = engineOf(context);
    const { sweepContainers } = await import("../../engine/gc.ts");
    await sweepContainers(engine).catch(() => {});
    const choose = (unused: ListedVolume[]) => filterVolumes(unused, filters, context.now());
    const { removed, bytes } = await pruneVolumes(engine, choose, { all });
    if (removed.length > 0) context.stdout.write(`Deleted Volumes:\n${removed.join("\n")}\n\n`);
    context.stdout.write(`Total reclaimed space: ${humanSize(bytes)}\n`);
    return 0;
  },
});
