/** Volumes as `volume ls` and `volume inspect` show them, and how they are filtered. */

import { applyFilters, type Filters, hasLabel, isTruthy, type Matcher, matchesPattern } from "./filter.ts";
import { parseMoment } from "./moment.ts";

/** What the rows are made of. */
export interface VolumeItem {
  name: string;
  /** RFC 3339. */
  created: string;
  labels: Readonly<Record<string, string>>;
  options: Readonly<Record<string, string>>;
  anonymous: boolean;
  mountpoint: string;
  users: readonly string[];
}

export const VOLUMES_TABLE = "table {{.Driver}}\t{{.Name}}";

export const VOLUMES_HEADINGS: Record<string, unknown> = {
  Driver: "DRIVER",
  Name: "VOLUME NAME",
  Mountpoint: "MOUNTPOINT",
  Labels: "LABELS",
  Scope: "SCOPE",
  Size: "SIZE",
  Links: "LINKS",
  Status: "STATUS",
  Availability: "AVAILABILITY",
  Group: "GROUP",
  CreatedAt: "CREATED AT",
  Anonymous: "ANONYMOUS",
};

export function volumeRow(item: VolumeItem): object {
  return {
    Availability: "N/A",
    Driver: "local",
    Group: "N/A",
    Labels: Object.entries(item.labels)
      .map(([key, value]) => `${key}=${value}`)
      .join(","),
    Links: "N/A",
    Mountpoint: item.mountpoint,
    Name: item.name,
    Scope: "local",
    Size: "N/A",
    Status: "N/A",
    CreatedAt: item.created,
    Anonymous: item.anonymous,
  };
}

export function inspectedVolume(item: VolumeItem): object {
  return {
    CreatedAt: item.created,
    Driver: "local",
    Labels: item.labels,
    Mountpoint: item.mountpoint,
    Name: item.name,
    Options: item.options,
    Scope: "local",
    Anonymous: item.anonymous,
    MountCount: item.users.length,
  };
}

export const VOLUME_FILTERS = [
  "anonymous",
  "dangling",
  "driver",
  "label",
  "label!",
  "name",
  "opt",
  "scope",
  "since",
  "until",
];
export const PRUNE_FILTERS = ["all", "anonymous", "label", "label!", "name", "since", "until"];

export function filterVolumes<T extends VolumeItem>(items: readonly T[], filters: Filters, now: number): T[] {
  const matchers: Record<string, Matcher<T>> = {
    all: () => true,
    anonymous: (item, value) => item.anonymous === isTruthy(value, "anonymous"),
    dangling: (item, value) => (item.users.length === 0) === isTruthy(value, "dangling"),
    driver: (_, value) => value === "local",
    label: (item, value) => hasLabel(item.labels, value),
    "label!": (item, value) => !hasLabel(item.labels, value),
    name: (item, value) => matchesPattern(item.name, value),
    opt: (item, value) => hasLabel(item.options, value),
    scope: (_, value) => value === "local",
    since: (item, value) => {
      const other = items.find((one) => one.name === value);
      return Date.parse(item.created) > (other ? Date.parse(other.created) : parseMoment(value, now));
    },
    until: (item, value) => Date.parse(item.created) < parseMoment(value, now),
  };
  return applyFilters(items, filters, matchers);
}
