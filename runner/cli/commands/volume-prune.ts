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
    const { removeUnused, volumes } = await import("../../engine/volumes.ts");
    const { treeSizes } = await import("../../engine/tree-size.ts");
    const engine = engineOf(context);
    const { sweepContainers } = await import("../../engine/gc.ts");
    await sweepContainers(engine).catch(() => {});
    const unused = filterVolumes(
      volumes(engine).filter((volume) => volume.users.length === 0 && (all || volume.anonymous)),
      filters,
      context.now(),
    );
    const bytes = await treeSizes(
      engine,
      unused.map(({ mountpoint }) => mountpoint),
    );
    const sizes = new Map(unused.map(({ name }, i) => [name, bytes[i] ?? 0]));
    const removed = await removeUnused(engine, [...sizes.keys()]);
    if (removed.length > 0) context.stdout.write(`Deleted Volumes:\n${removed.join("\n")}\n\n`);
    const freed = removed.reduce((sum, name) => sum + (sizes.get(name) ?? 0), 0);
    context.stdout.write(`Total reclaimed space: ${humanSize(freed)}\n`);
    return 0;
  },
});
