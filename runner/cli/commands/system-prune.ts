import { confirmed } from "../confirm.ts";
import { boolean, list } from "../flags.ts";
import { printPruned } from "../print-pruned.ts";
import { filterNotice, onlyUntil, PRUNE_FILTERS, pruneFilter, untilOption } from "../prune-filters.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "system prune",
  usage: "",
  summary: "Remove what is not in use: containers that do not run, images without a name, what failed pulls left.",
  flags: {
    all: boolean({ short: "a", help: "every image that no container uses, not only those without a name" }),
    volumes: boolean({ help: "anonymous volumes that no container has, too" }),
    force: boolean({ short: "f", help: "do not ask" }),
    filter: list({ placeholder: "KEY=VALUE", help: `only some of it, by ${PRUNE_FILTERS.join(", ")}` }),
  },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox system prune", "clean up, after a question"],
    ["tsbox system prune -af --volumes", "everything that nothing runs with"],
  ],
  async act({ flags }, context) {
    const filter = pruneFilter(flags.filter, context.now());
    const items = [
      "all stopped containers",
      ...(flags.volumes ? ["all anonymous volumes not used by at least one container"] : []),
      flags.all ? "all images without at least one container associated to them" : "all dangling images",
      flags.all ? "all build cache" : "unused build cache",
    ];
    const warning = `This will remove:\n${items.map((item) => `  - ${item}\n`).join("")}${filterNotice(flags.filter)}`;
    if (!flags.force && !(await confirmed(context, warning))) return 1;
    const { pruneBuildCache, pruneContainers, pruneImages, pruneVolumes } = await import("../../engine/prune.ts");
    const engine = engineOf(context);
    const containers = await pruneContainers(engine, (all) => (filter ? filter(all, ({ record }) => record) : all));
    const volumes = flags.volumes
      ? await pruneVolumes(engine, (all) => (filter ? filter(all, (volume) => volume) : all))
      : { removed: [], bytes: 0 };
    // steps of builds have no labels
    const steps =
      filter && !onlyUntil(flags.filter)
        ? { removed: [], bytes: 0 }
        : await pruneBuildCache(engine, { all: flags.all, ...untilOption(flags.filter, context.now()) });
    const images = await pruneImages(engine, {
      all: flags.all,
      ...(filter && { choose: (all) => filter(all, (image) => image) }),
    });
    printPruned(
      context.stdout,
      [
        ["Containers", containers.removed],
        ["Volumes", volumes.removed],
        ["Images", images.removed],
        ["build cache objects", steps.removed],
      ],
      containers.bytes + volumes.bytes + images.bytes + steps.bytes,
    );
    return 0;
  },
});
