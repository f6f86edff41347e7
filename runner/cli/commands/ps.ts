import { setTimeout as sleep } from "node:timers/promises";
import type { Engine } from "../../engine/engine.ts";
import type { ListedContainer } from "../../engine/list.ts";
import { parseFilters } from "../filter.ts";
import { boolean, choice, list as listFlag, number, string } from "../flags.ts";
import { listPrinter } from "../list-output.ts";
import {
  containerRow,
  filterContainers,
  impliesAll,
  namespaceColumns,
  PS_FILTERS,
  PS_HEADINGS,
  PS_ORDERS,
  PS_TABLE,
  PS_TABLE_NAMESPACES,
  PS_TABLE_SIZE,
  sortContainers,
} from "../rows-ps.ts";
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
    sort: choice(PS_ORDERS, { help: "order of the list (default: the newest first)" }),
    noheading: boolean({ help: "leave the headings out" }),
    ns: boolean({ help: "show the namespaces of each, by the kernel's numbers" }),
    watch: number({ short: "w", min: 1, placeholder: "SECONDS", help: "show the list again and again" }),
    sync: boolean({ help: "accepted: the list is always what the kernel says", hidden: true }),
    external: boolean({ help: "accepted: there are no others", hidden: true }),
  },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox ps -a --filter status=exited", "all that has ended"],
    ["tsbox ps --format 'table {{.Names}}\\t{{.Status}}'", "two columns of your choice"],
  ],
  async act({ flags }, context) {
    const print = listPrinter({
      ...flags,
      table: flags.ns ? PS_TABLE_NAMESPACES : flags.size ? PS_TABLE_SIZE : PS_TABLE,
      id: "ID",
      headings: PS_HEADINGS,
    });
    const filters = parseFilters(flags.filter, PS_FILTERS);
    const limit = flags.latest ? 1 : (flags.last ?? -1);
    const { isShown, list } = await import("../../engine/list.ts");
    const engine = engineOf(context);
    const descends = filters.has("ancestor")
      ? (await import("../../engine/descendants.ts")).descendsFrom.bind(undefined, engine)
      : undefined;
    const namespaces = flags.ns || /\.(CGROUPNS|IPC|MNT|NET|PIDNS|USERNS|UTS)\b/.test(flags.format ?? "");
    const look = async () => {
      const all = flags.all || limit >= 0 || impliesAll(filters);
      const facts = { now: context.now(), ...(descends && { descends }) };
      const kept = filterContainers(list(engine, { all: true }), filters, facts).filter(
        ({ state }) => all || isShown(state),
      );
      const items = await withSizes(
        engine,
        limit >= 0 ? kept.slice(0, limit) : kept,
        flags.size || flags.sort === "size" || flags.format?.includes(".Size") === true,
      );
      const sorted = flags.sort === undefined ? items : sortContainers(items, flags.sort);
      return print(
        sorted.map((item) => {
          const row = containerRow(item, context.now(), !flags.noTrunc);
          // not a copy: that would compute the columns that few ask for
          return namespaces ? Object.assign(row, namespaceColumns(item)) : row;
        }),
      );
    };
    if (flags.watch === undefined) {
      context.stdout.write(await look());
      return;
    }
    while (!context.signal.aborted) {
      const text = await look();
      context.stdout.write(context.stdout.isTTY ? `${CLEAR}${text}` : text);
      await sleep(flags.watch * 1000, undefined, { signal: context.signal }).catch(() => {});
    }
  },
});

/** The cursor goes home, and everything below it away. */
const CLEAR = "\x1b[H\x1b[2J";

type Sized = ListedContainer & { size?: { own: number; whole: number } };

async function withSizes(engine: Engine, items: ListedContainer[], wished: boolean): Promise<Sized[]> {
  if (!wished) return items;
  const { wholeSizes } = await import("../../engine/container-sizes.ts");
  const sizes = await wholeSizes(engine, items);
  // not a copy: what few ask for is read when they do
  return items.map((item, i) => Object.assign(item, sizes[i] && { size: sizes[i] }));
}
