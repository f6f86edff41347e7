import { visible } from "../../base/error.ts";
import type { Found } from "../../engine/search.ts";
import { applyFilters, isTruthy, parseFilters } from "../filter.ts";
import { boolean, list, number, string } from "../flags.ts";
import { listPrinter } from "../list-output.ts";
import { CONNECTION_FLAGS, readConnection } from "../registry-flags.ts";
import { ellipsis } from "../table.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb } from "../verb.ts";

const TABLE = "table {{.Name}}\t{{.Description}}\t{{.Stars}}\t{{.Official}}";
const TAGS_TABLE = "table {{.Name}}\t{{.Tag}}";
const HEADINGS = {
  Index: "INDEX",
  Name: "NAME",
  Description: "DESCRIPTION",
  Stars: "STARS",
  StarCount: "STARS",
  Official: "OFFICIAL",
  IsOfficial: "OFFICIAL",
  Automated: "AUTOMATED",
  IsAutomated: "AUTOMATED",
  Tag: "TAG",
};

export default defineVerb({
  name: "search",
  usage: "TERM",
  summary: "Look for images in a registry.",
  description:
    "A term may begin with the registry to search; otherwise those are searched that registries.conf lists for short names, or Docker Hub.",
  flags: {
    limit: number({ min: 1, max: 10_000, help: "so many results of each registry (default 25; tags: all)" }),
    filter: list({ short: "f", placeholder: "KEY=VALUE", help: "stars=N, is-official=true or is-automated=true" }),
    format: string({ placeholder: "TEMPLATE", help: '"json", a Go template, or "table" and one' }),
    listTags: boolean({ help: "list the tags of the repository TERM" }),
    noTrunc: boolean({ help: "show descriptions in full" }),
    compatible: { ...boolean({ help: "" }), hidden: true },
    ...CONNECTION_FLAGS,
  },
  words: { min: 1, max: 1 },
  examples: [
    ["tsbox search --limit 3 alpine", "on Docker Hub"],
    ["tsbox search localhost:5000/", "everything that a registry of your own has"],
    ["tsbox search --list-tags registry.example.com/app", "the tags of one repository"],
  ],
  async act(parsed, context) {
    const { flags, words } = parsed;
    const [term = ""] = words;
    const filters = parseFilters(flags.filter, ["stars", "is-official", "is-automated"]);
    const table = flags.listTags ? TAGS_TABLE : TABLE;
    const print = listPrinter({ format: flags.format, quiet: false, table, id: "Name", headings: HEADINGS });
    const { search, tags } = await import("../../engine/search.ts");
    const options = {
      limit: flags.limit ?? (flags.listTags ? Number.POSITIVE_INFINITY : 25),
      connection: readConnection(parsed, context.cwd),
      signal: context.signal,
    };
    if (flags.listTags) {
      const found = await tags(term, options);
      context.stdout.write(print(found.tags.map((tag) => ({ Name: visible(found.name), Tag: visible(tag) }))));
      return;
    }
    const found = applyFilters(await search(term, options), filters, {
      stars: (item, value) => item.stars >= wholeNumber(value),
      "is-official": (item, value) => item.official === isTruthy(value, "is-official"),
      "is-automated": (item, value) => item.automated === isTruthy(value, "is-automated"),
    });
    context.stdout.write(print(found.map((item) => row(item, !flags.noTrunc))));
  },
});

function row(item: Found, truncate: boolean): object {
  const description = visible(item.description.replace(/\s+/g, " "));
  const mark = (set: boolean) => (set ? "[OK]" : "");
  return {
    Index: item.index,
    Name: visible(item.name),
    Description: truncate ? ellipsis(description, 45) : description,
    Stars: item.stars,
    StarCount: item.stars,
    Official: mark(item.official),
    IsOfficial: item.official,
    Automated: mark(item.automated),
    IsAutomated: item.automated,
  };
}

function wholeNumber(value: string): number {
  if (/^\d+$/.test(value)) return Number(value);
  throw new UsageError(`Cannot filter by "stars=${value}": expected a whole number`, { exitCode: 1 });
}
