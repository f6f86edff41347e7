import { parseFilters } from "../filter.ts";
import { boolean, list as listFlag, number, string } from "../flags.ts";
import { listPrinter } from "../list-output.ts";
import { containerRow, filterContainers, impliesAll, PS_FILTERS, PS_HEADINGS, PS_TABLE } from "../rows-ps.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "ps",
  usage: "",
  summary: "List containers: those that run, or all.",
  flags: {
    all: boolean({ short: "a", help: "also those that do not run" }),
    quiet: boolean({ short: "q", help: "ids only" }),
    filter: listFlag({ short: "f", placeholder: "KEY=VALUE", help: `keep some only, by ${PS_FILTERS.join(", ")}` }),
    format: string({ placeholder: "TEMPLATE", help: '"json", a Go template, or "table" and one' }),
    noTrunc: boolean({ help: "show everything in full" }),
    last: number({ short: "n", min: -1, help: "the last containers made, running or not" }),
    latest: boolean({ short: "l", help: "the last container made, running or not" }),
  },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox ps -a --filter status=exited", "all that has ended"],
    ["tsbox ps --format 'table {{.Names}}\\t{{.Status}}'", "two columns of your choice"],
  ],
  async act({ flags }, context) {
    const print = listPrinter({ ...flags, table: PS_TABLE, id: "ID", headings: PS_HEADINGS });
    const filters = parseFilters(flags.filter, PS_FILTERS);
    const limit = flags.latest ? 1 : (flags.last ?? -1);
    const { list } = await import("../../engine/list.ts");
    const everything = list(engineOf(context), { all: true });
    const all = flags.all || limit >= 0 || impliesAll(filters);
    const kept = filterContainers(everything, filters).filter(({ state }) => all || state.status === "running");
    const shown = limit >= 0 ? kept.slice(0, limit) : kept;
    context.stdout.write(print(shown.map((item) => containerRow(item, context.now(), !flags.noTrunc))));
  },
});
