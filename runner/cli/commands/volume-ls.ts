import { parseFilters } from "../filter.ts";
import { boolean, list, string } from "../flags.ts";
import { listPrinter } from "../list-output.ts";
import { filterVolumes, VOLUME_FILTERS, VOLUMES_HEADINGS, VOLUMES_TABLE, volumeRow } from "../rows-volumes.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "volume ls",
  usage: "",
  summary: "List volumes.",
  flags: {
    quiet: boolean({ short: "q", help: "names only" }),
    filter: list({ short: "f", placeholder: "KEY=VALUE", help: `keep some only, by ${VOLUME_FILTERS.join(", ")}` }),
    format: string({ placeholder: "TEMPLATE", help: '"json", a Go template, or "table" and one' }),
    noheading: boolean({ aliases: ["no-heading"], help: "leave the heading out" }),
  },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox volume ls -f dangling=true", "those that no container uses"],
    ["tsbox volume ls --format '{{.Name}} {{.Mountpoint}}'", "where they lie"],
  ],
  async act({ flags }, context) {
    const print = listPrinter({ ...flags, table: VOLUMES_TABLE, id: "Name", headings: VOLUMES_HEADINGS });
    const filters = parseFilters(flags.filter, VOLUME_FILTERS);
    const { volumes } = await import("../../engine/volumes.ts");
    context.stdout.write(print(filterVolumes(volumes(engineOf(context)), filters, context.now()).map(volumeRow)));
  },
});
