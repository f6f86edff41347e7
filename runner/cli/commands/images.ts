import { parseFilters } from "../filter.ts";
import { boolean, choice, list, string } from "../flags.ts";
import { listPrinter } from "../list-output.ts";
import { parseMoment } from "../moment.ts";
import {
  filterImages,
  IMAGE_FILTERS,
  IMAGE_ORDERS,
  IMAGES_DIGEST_TABLE,
  IMAGES_HEADINGS,
  IMAGES_TABLE,
  imageRows,
  matchesReference,
  sortImageRows,
} from "../rows-images.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "images",
  usage: "[REPOSITORY[:TAG]]",
  summary: "List images.",
  flags: {
    all: boolean({ short: "a", help: "accepted; every image is shown", hidden: true }),
    quiet: boolean({ short: "q", help: "ids only" }),
    filter: list({ short: "f", placeholder: "KEY=VALUE", help: `keep some only, by ${IMAGE_FILTERS.join(", ")}` }),
    format: string({ placeholder: "TEMPLATE", help: '"json", a Go template, or "table" and one' }),
    noTrunc: boolean({ help: "show everything in full" }),
    digests: boolean({ help: "show the digests of manifests" }),
    sort: choice(IMAGE_ORDERS, { help: "order (default created: the newest first)" }),
    noheading: boolean({ short: "n", aliases: ["no-heading"], help: "no row of headings" }),
  },
  words: { min: 0, max: 1 },
  examples: [
    ["tsbox images 'busy*'", "images whose name begins with busy"],
    ["tsbox images --format '{{.Repository}}:{{.Tag}} {{.Size}}'", "names and sizes"],
  ],
  async act({ flags, words: [pattern] }, context) {
    const table = flags.digests ? IMAGES_DIGEST_TABLE : IMAGES_TABLE;
    const print = listPrinter({ ...flags, table, id: "ID", headings: IMAGES_HEADINGS });
    const filters = parseFilters(flags.filter, IMAGE_FILTERS);
    const { images } = await import("../../engine/images.ts");
    const items = filterImages(await images(engineOf(context)), filters, (text) => parseMoment(text, context.now()));
    const found = items.flatMap((item) => {
      const names = pattern === undefined ? item.names : item.names.filter((name) => matchesReference(name, pattern));
      if (pattern !== undefined && names.length === 0) return [];
      return imageRows({ ...item, names }, context.now(), !flags.noTrunc).map((row) => ({ item, row }));
    });
    const rows = sortImageRows(found, flags.sort ?? "created").map(({ row }) => row);
    // Quiet is for other commands' arguments: an image of two names is still one image.
    const unique =
      flags.quiet && !flags.format ? [...new Map(rows.map((row) => [Object(row).ID, row])).values()] : rows;
    context.stdout.write(print(unique));
  },
});
