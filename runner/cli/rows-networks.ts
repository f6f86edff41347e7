/** Networks as `network ls` and `network inspect` show them. */

import type { Network } from "../engine/networks.ts";
import { applyFilters, type Filters, matchesPattern } from "./filter.ts";

export const NETWORKS_TABLE = "table {{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}";

export const NETWORKS_HEADINGS: Record<string, unknown> = {
  ID: "NETWORK ID",
  Name: "NAME",
  Driver: "DRIVER",
  Scope: "SCOPE",
  IPv6: "IPV6",
  Internal: "INTERNAL",
  Labels: "LABELS",
};

export const NETWORK_FILTERS = ["driver", "id", "name", "scope", "type"];

export function networkRow({ id, name, driver }: Network, whole: boolean): object {
  const shown = whole ? id : id.slice(0, 12);
  return { ID: shown, Name: name, Driver: driver, Scope: "local", IPv6: "false", Internal: "false", Labels: "" };
}

export function inspectedNetwork({ id, name, driver, containers }: Network): object {
  return {
    Name: name,
    Id: id,
    Scope: "local",
    Driver: driver,
    Internal: false,
    Attachable: false,
    Containers: Object.fromEntries(containers.map((one) => [one.id, { Name: one.name }])),
    Options: {},
    Labels: {},
  };
}

export function filterNetworks(items: readonly Network[], filters: Filters): Network[] {
  return applyFilters(items, filters, {
    driver: ({ driver }, value) => driver === value,
    id: ({ id }, value) => id.startsWith(value),
    name: ({ name }, value) => matchesPattern(name, value),
    scope: (_, value) => value === "local",
    type: (_, value) => value === "builtin",
  });
}
