/** Containers as `ps` shows and filters them. */

import { visible } from "../base/error.ts";
import { applyFilters, type Filters, hasLabel, type Matcher, matchesPattern } from "./filter.ts";
import { ellipsis, shortId } from "./table.ts";
import { ago, goTime, humanDuration } from "./units.ts";

/** What the rows are made of; the engine's list has it. */
export interface ContainerItem {
  record: {
    id: string;
    name: string;
    created: string;
    image: string;
    imageID: string;
    argv: readonly string[];
    labels: Readonly<Record<string, string>>;
    network: string;
    mounts: readonly { name?: string; source?: string; target: string }[];
  };
  state: { status: string; pid: number; exitCode: number; startedAt: string; finishedAt: string };
}

export const PS_TABLE = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

export const PS_HEADINGS: Record<string, unknown> = {
  ID: "CONTAINER ID",
  Names: "NAMES",
  Image: "IMAGE",
  Command: "COMMAND",
  CreatedAt: "CREATED AT",
  RunningFor: "CREATED",
  Ports: "PORTS",
  State: "STATE",
  Status: "STATUS",
  Size: "SIZE",
  Labels: "LABELS",
  Label: labelHeading,
  Mounts: "MOUNTS",
  LocalVolumes: "LOCAL VOLUMES",
  Networks: "NETWORKS",
  Pid: "PID",
  ExitCode: "EXIT CODE",
};

/** `{{.Label "org.example.my-key"}}` is headed "my key", as in docker. */
function labelHeading(key: string): string {
  return (key.split(".").at(-1) ?? key).replace(/[-_]/g, " ");
}

export function containerRow({ record, state }: ContainerItem, now: number, truncate: boolean): object {
  const command = record.argv.map(visible).join(" ");
  const mounts = record.mounts.map((mount) => mount.name || mount.source || mount.target);
  const created = new Date(record.created);
  return {
    ID: truncate ? shortId(record.id) : record.id,
    Names: record.name,
    Image: record.image || (truncate ? shortId(record.imageID) : record.imageID) || "<rootfs>",
    Command: `"${truncate ? ellipsis(command, 20) : command}"`,
    CreatedAt: goTime(created),
    RunningFor: ago(created, now),
    Ports: "",
    State: state.status,
    Status: statusText(state, now),
    Size: "",
    Labels: Object.entries(record.labels)
      .map(([key, value]) => visible(`${key}=${value}`))
      .join(","),
    Label: (key: string) => (Object.hasOwn(record.labels, key) ? record.labels[key] : ""),
    Mounts: mounts.map((mount) => visible(truncate ? ellipsis(mount, 15) : mount)).join(","),
    LocalVolumes: "0",
    Networks: record.network,
    Pid: state.pid,
    ExitCode: state.exitCode,
  };
}

/** "Up 2 minutes", "Exited (0) 3 hours ago", "Created". */
export function statusText(state: ContainerItem["state"], now: number): string {
  switch (state.status) {
    case "running":
      return `Up ${humanDuration(now - Date.parse(state.startedAt))}`;
    case "exited":
      // A container that was lost, by a power cut say, has no end that anybody saw.
      return state.finishedAt.startsWith("0001-")
        ? `Exited (${state.exitCode})`
        : `Exited (${state.exitCode}) ${ago(Date.parse(state.finishedAt), now)}`;
    default:
      return state.status.charAt(0).toUpperCase() + state.status.slice(1);
  }
}

export const PS_FILTERS = [
  "id",
  "name",
  "label",
  "status",
  "exited",
  "ancestor",
  "before",
  "since",
  "network",
  "volume",
] as const;

const MATCHERS: Record<string, Matcher<ContainerItem>> = {
  id: ({ record }, value) => record.id.startsWith(value),
  name: ({ record }, value) => matchesPattern(record.name, value.replace(/^(\^?)\//, "$1")),
  label: ({ record }, value) => hasLabel(record.labels, value),
  status: ({ state }, value) => state.status === value,
  exited: ({ state }, value) => state.status === "exited" && String(state.exitCode) === value,
  ancestor: ({ record }, value) => isImage(record, value),
  network: ({ record }, value) => record.network === value,
  volume: ({ record }, value) =>
    record.mounts.some((mount) => [mount.name, mount.source, mount.target].includes(value)),
};

function isImage(record: ContainerItem["record"], value: string): boolean {
  if (record.image === value || record.image === `${value}:latest`) return true;
  const digits = value.replace(/^sha256:/, "");
  return /^[0-9a-f]{12,}$/.test(digits) && record.imageID.replace(/^sha256:/, "").startsWith(digits);
}

/** Filters that ask for what does not run imply `--all`, as in docker. */
export function impliesAll(filters: Filters): boolean {
  return filters.has("status") || filters.has("exited");
}

export function filterContainers(items: readonly ContainerItem[], filters: Filters): ContainerItem[] {
  const found = (word: string) => items.find(({ record }) => record.name === word || record.id.startsWith(word));
  const created = (word: string) => found(word)?.record.created;
  return applyFilters(items, filters, {
    ...MATCHERS,
    before: ({ record }, value) => record.created < (created(value) ?? ""),
    since: ({ record }, value) => record.created > (created(value) ?? "~"),
  });
}
