import type { Engine } from "../../engine/engine.ts";
import type { ListedContainer } from "../../engine/list.ts";
import { parseFilters } from "../filter.ts";
import { boolean, list as listFlag, number, string } from "../flags.ts";
import { listPrinter } from "../list-output.ts";
import {
  containerRow,
  filterContainers,
  impliesAll,
  PS_FILTERS,
  PS_HEADINGS,
  PS_TABLE,
  PS_TABLE_SIZE,
} from "../rows-ps.ts";
import { humanSize } from "../units.ts";
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
    size: boolean({ short: "s", help: "show what a container has written, and its size with the image's" }),
    last: number({ short: "n", min: -1, help: "the last containers made, running or not" }),
    latest: boolean({ short: "l", help: "the last container made, running or not" }),
  },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox ps -a --filter status=exited", "all that has ended"],
    ["tsbox ps --format 'table {{.Names}}\\t{{.Status}}'", "two columns of your choice"],
  ],
  async act({ flags }, context) {
    const print = listPrinter({
      ...flags,
      table: flags.size ? PS_TABLE_SIZE : PS_TABLE,
      id: "ID",
      headings: PS_HEADINGS,
    });
    const filters = parseFilters(flags.filter, PS_FILTERS);
    const limit = flags.latest ? 1 : (flags.last ?? -1);
    const { isShown, list } = await import("../../engine/list.ts");
    const engine = engineOf(context);
    const everything = list(engine, { all: true });
    const all = flags.all || limit >= 0 || impliesAll(filters);
    const kept = filterContainers(everything, filters).filter(({ state }) => all || isShown(state));
    const shown = limit >= 0 ? kept.slice(0, limit) : kept;
    const sizes = flags.size || flags.format?.includes(".Size") ? await sizesOf(engine, shown) : [];
    const rows = shown.map((item, i) => containerRow({ ...item, size: sizes[i] ?? "" }, context.now(), !flags.noTrunc));
    context.stdout.write(print(rows));
  },
});

/** `12B (virtual 4.3MB)`: what it has written, and that with its image's layers. */
async function sizesOf(engine: Engine, shown: ListedContainer[]): Promise<string[]> {
  const { containerSizes } = await import("../../engine/disk-usage.ts");
  const { treeSizes } = await import("../../engine/tree-size.ts");
  const own = await containerSizes(engine, shown);
  const layers = [...new Set(shown.flatMap(({ record }) => layersOf(record)))];
  const sizes = new Map((await treeSizes(engine, layers)).map((size, i) => [layers[i], size]));
  return shown.map(({ record }, i) => {
    const below = layersOf(record).reduce((sum, layer) => sum + (sizes.get(layer) ?? 0), 0);
    return `${humanSize(own[i] ?? 0)} (virtual ${humanSize((own[i] ?? 0) + below)})`;
  });
}

/** Of an image's; a root directory of the host's is not counted. */
function layersOf(record: ListedContainer["record"]): string[] {
  return record.imageID === "" ? [] : record.lowers.slice(1);
}
