import { confirmed } from "../confirm.ts";
import { boolean, list } from "../flags.ts";
import { printPruned } from "../print-pruned.ts";
import { filterNotice, PRUNE_FILTERS, pruneFilter } from "../prune-filters.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "image prune",
  usage: "",
  summary:
    "Remove images without a name that no container uses, and what failed pulls left; with --all, named ones as well.",
  flags: {
    all: boolean({ short: "a", help: "every image that no container uses" }),
    force: boolean({ short: "f", help: "do not ask" }),
    filter: list({ placeholder: "KEY=VALUE", help: `only some of them, by ${PRUNE_FILTERS.join(", ")}` }),
    external: boolean({ help: "accepted: nobody else has containers here", hidden: true }),
  },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox image prune", "images that lost their name to newer ones"],
    ["tsbox image prune -af --filter until=168h", "all unused images made more than a week ago"],
  ],
  async act({ flags }, context) {
    const filter = pruneFilter(flags.filter, context.now());
    const which = flags.all ? "all images without at least one container associated to them" : "all dangling images";
    const warning = `This will remove ${which}.${filterNotice(flags.filter)}`;
    if (!flags.force && !(await confirmed(context, warning))) return 1;
    const { pruneImages } = await import("../../engine/prune.ts");
    const { removed, bytes } = await pruneImages(engineOf(context), {
      all: flags.all,
      ...(filter && { choose: (images) => filter(images, (image) => image) }),
    });
    printPruned(context.stdout, [["Images", removed]], bytes);
    return 0;
  },
});
