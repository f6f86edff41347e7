import { parseFilters } from "../filter.ts";
import { boolean, list, string } from "../flags.ts";
import { listPrinter } from "../list-output.ts";
import { filterNetworks, NETWORK_FILTERS, NETWORKS_HEADINGS, NETWORKS_TABLE, networkRow } from "../rows-networks.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "network ls",
  usage: "",
  summary: "List the networks that a container can be given: none and host.",
  flags: {
    quiet: boolean({ short: "q", help: "ids only" }),
    noTrunc: boolean({ help: "whole ids" }),
    filter: list({ short: "f", placeholder: "KEY=VALUE", help: `keep some only, by ${NETWORK_FILTERS.join(", ")}` }),
    format: string({ placeholder: "TEMPLATE", help: '"json", a Go template, or "table" and one' }),
  },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox network ls", "what --network takes"],
    ["tsbox network ls --format '{{.Name}}'", "the names"],
  ],
  async act({ flags }, context) {
    const print = listPrinter({ ...flags, table: NETWORKS_TABLE, id: "ID", headings: NETWORKS_HEADINGS });
    const filters = parseFilters(flags.filter, NETWORK_FILTERS);
    const { networks } = await import("../../engine/networks.ts");
    const found = filterNetworks(await networks(engineOf(context)), filters);
    context.stdout.write(print(found.map((network) => networkRow(network, flags.noTrunc))));
  },
});
