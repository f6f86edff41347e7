/** Containers as `ps` shows and filters them. */

import { readlinkSync } from "node:fs";
import { visible } from "../base/error.ts";
import { applyFilters, type Filters, hasLabel, isTruthy, type Matcher, matchesPattern } from "./filter.ts";
import { parseMoment } from "./moment.ts";
import { type PortBinding, portsText } from "./rows-ports.ts";
import { ellipsis, shortId } from "./table.ts";
import { ago, goTime, humanDuration, humanSize } from "./units.ts";
import { UsageError } from "./usage-error.ts";

const isUp = (status: string) => status === "running" || status === "paused";

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
    ports?: readonly PortBinding[];
    config?: object;
    mounts: readonly { kind?: string; name?: string; source?: string; target: string }[];
  };
  state: { status: string; pid: number; exitCode: number; reason?: string; startedAt: string; finishedAt: string };
  health?: string;
  /** Bytes that it has written, and those with its image's. */
  size?: { own: number; whole: number };
  restartPolicy?: string;
  stopped?: boolean;
}

export const PS_TABLE = "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}";

export const PS_TABLE_SIZE = `${PS_TABLE}\t{{.Size}}`;

export const PS_TABLE_NAMESPACES =
  "table {{.ID}}\t{{.Names}}\t{{.Pid}}\t{{.CGROUPNS}}\t{{.IPC}}\t{{.MNT}}\t{{.NET}}\t{{.PIDNS}}\t{{.USERNS}}\t{{.UTS}}";

/** Of a running container, by the kernel's numbers. */
const NAMESPACES = {
  CGROUPNS: "cgroup",
  IPC: "ipc",
  MNT: "mnt",
  NET: "net",
  PIDNS: "pid",
  USERNS: "user",
  UTS: "uts",
} as const;

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
  Health: "HEALTH",
  Size: "SIZE",
  Labels: "LABELS",
  Label: labelHeading,
  Mounts: "MOUNTS",
  LocalVolumes: "LOCAL VOLUMES",
  Networks: "NETWORKS",
  Pid: "PID",
  ExitCode: "EXIT CODE",
  Restarts: "RESTARTS",
  ...Object.fromEntries(Object.keys(NAMESPACES).map((name) => [name, name])),
};

/** `{{.Label "org.example.my-key"}}` is headed "my key", as in docker. */
function labelHeading(key: string): string {
  return (key.split(".").at(-1) ?? key).replace(/[-_]/g, " ");
}

export function containerRow(
  { record, state, health = "", size }: ContainerItem,
  now: number,
  truncate: boolean,
): object {
  const command = record.argv.map(visible).join(" ");
  const mounts = record.mounts.map((mount) => mount.name || mount.source || mount.target);
  const created = new Date(record.created);
  return {
    ID: truncate ? shortId(record.id) : record.id,
    Names: record.name,
    Image: record.image || (truncate ? shortId(record.imageID) : record.imageID) || "<rootfs>",
    Command: `"${truncate ? ellipsis(command, 20) : command}"`,
    // no column of the usual table: the name of the zone costs more than all the rest
    get CreatedAt() {
      return goTime(created);
    },
    RunningFor: ago(created, now),
    Ports: isUp(state.status) ? portsText(record) : "",
    State: state.status,
    Status: statusText(state, now, health),
    Health: health,
    Size: size === undefined ? "" : `${humanSize(size.own)} (virtual ${humanSize(size.whole)})`,
    Labels: Object.entries(record.labels)
      .map(([key, value]) => visible(`${key}=${value}`))
      .join(","),
    Label: (key: string) => (Object.hasOwn(record.labels, key) ? record.labels[key] : ""),
    Mounts: mounts.map((mount) => visible(truncate ? ellipsis(mount, 15) : mount)).join(","),
    LocalVolumes: String(record.mounts.filter(({ kind }) => kind === "volume").length),
    Networks: record.network,
    Pid: state.pid,
    ExitCode: state.exitCode,
  };
}

/** Which namespaces a container's processes are in; asked for only by --ns. */
export function namespaceColumns({ state }: ContainerItem): Record<string, string> {
  return Object.fromEntries(
    Object.entries(NAMESPACES).map(([column, kind]) => [
      column,
      state.pid === 0 ? "" : namespaceNumber(state.pid, kind),
    ]),
  );
}

/** Orders of --sort, smallest first; those of time: the oldest, but of what runs the one that was started last. */
export const PS_ORDERS = ["command", "created", "id", "image", "names", "runningfor", "size", "status"] as const;
type Order = (typeof PS_ORDERS)[number];

export function sortContainers<T extends ContainerItem>(items: readonly T[], order: Order): T[] {
  const key: Record<Order, (item: T) => string | number> = {
    command: ({ record }) => record.argv.join(" "),
    created: ({ record }) => record.created,
    id: ({ record }) => record.id,
    image: ({ record }) => record.image,
    names: ({ record }) => record.name,
    runningfor: ({ state }) => -Date.parse(state.startedAt),
    size: ({ size }) => size?.own ?? 0,
    status: ({ state }) => state.status,
  };
  const of = key[order];
  return [...items].sort((a, b) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : 0));
}

/** "Up 2 minutes", "Exited (0) 3 hours ago", "Created". */
export function statusText(state: ContainerItem["state"], now: number, health = ""): string {
  const up = () => `Up ${humanDuration(now - Date.parse(state.startedAt))}`;
  switch (state.status) {
    case "running":
      return health === "" ? up() : `${up()} (${health === "starting" ? "health: starting" : health})`;
    case "paused":
      return `${up()} (Paused)`;
    case "restarting":
      return `Restarting (${state.exitCode}) ${ago(Date.parse(state.finishedAt), now)}`;
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
  "health",
  "label!",
  "command",
  "publish",
  "expose",
  "is-task",
  "until",
  "restart-policy",
  "should-start-after-boot",
] as const;

/** Words that a filter may have. */
const CHOICES: Record<string, readonly string[]> = {
  status: ["created", "restarting", "running", "removing", "paused", "exited", "dead"],
  health: ["starting", "healthy", "unhealthy", "none"],
  "restart-policy": ["no", "always", "unless-stopped", "on-failure"],
};

const MATCHERS: Record<string, Matcher<ContainerItem>> = {
  id: ({ record }, value) => record.id.startsWith(value),
  name: ({ record }, value) => matchesPattern(record.name, value.replace(/^(\^?)\//, "$1")),
  label: ({ record }, value) => hasLabel(record.labels, value),
  status: ({ state }, value) => state.status === value,
  exited: ({ state }, value) => state.status === "exited" && String(state.exitCode) === value,
  health: ({ health = "" }, value) => (value === "none" ? health === "" : health === value),
  "label!": ({ record }, value) => !hasLabel(record.labels, value),
  command: ({ record }, value) => record.argv[0] === value,
  publish: ({ record }, value) => hasPort(record, value, "hostPort"),
  expose: ({ record }, value) => hasPort(record, value, "containerPort"),
  "restart-policy": ({ restartPolicy = "no" }, value) => restartPolicy === value,
  "should-start-after-boot": (item, value) => startsAfterBoot(item) === isTruthy(value, "should-start-after-boot"),
  "is-task": (_, value) => !isTruthy(value, "is-task"),
  network: ({ record }, value) => record.network === value,
  volume: ({ record }, value) =>
    record.mounts.some((mount) => [mount.name, mount.source, mount.target].includes(value)),
};

/** docker starts these with its daemon: whom nobody has stopped on purpose, where the policy minds that. */
function startsAfterBoot({ restartPolicy, stopped = false }: ContainerItem): boolean {
  return restartPolicy === "always" || (restartPolicy === "unless-stopped" && !stopped);
}

/** `80`, `80/tcp`, `8000-8080/tcp` */
function hasPort({ ports = [] }: ContainerItem["record"], value: string, side: "hostPort" | "containerPort"): boolean {
  const [range = "", protocol = "tcp"] = value.split("/");
  const [first = 0, last = first] = range.split("-").map(Number);
  return ports.some((port) => port.protocol === protocol && port[side] >= first && port[side] <= last);
}

function isImage(record: ContainerItem["record"], value: string): boolean {
  if (record.image === value || record.image === `${value}:latest`) return true;
  const digits = value.replace(/^sha256:/, "");
  return /^[0-9a-f]{12,}$/.test(digits) && record.imageID.replace(/^sha256:/, "").startsWith(digits);
}

/** What filters ask beside the containers: the moment, and what is made from an image. */
export interface FilterFacts<T extends ContainerItem> {
  now?: number;
  descends?: (word: string) => (record: T["record"]) => boolean;
}

/** A word that no container can have is a slip, not an empty list. */
function checkValues(filters: Filters): void {
  for (const [key, values] of filters) {
    const known = CHOICES[key];
    for (const value of values) {
      if (known ? known.includes(value) : key !== "exited" || /^-?\d+$/.test(value)) continue;
      throw new UsageError(`Cannot filter by "${key}=${value}": expected ${known?.join(", ") ?? "a number"}`, {
        exitCode: 1,
      });
    }
  }
}

/** Filters that ask for what does not run imply `--all`, as in docker. */
export function impliesAll(filters: Filters): boolean {
  return filters.has("status") || filters.has("exited");
}

export function filterContainers<T extends ContainerItem>(
  items: readonly T[],
  filters: Filters,
  { now = Date.now(), descends = () => () => false }: FilterFacts<T> = {},
): T[] {
  checkValues(filters);
  const ancestors = new Map((filters.get("ancestor") ?? []).map((word) => [word, descends(word)]));
  const found = (word: string) => items.find(({ record }) => record.name === word || record.id.startsWith(word));
  const created = (word: string) => {
    const item = found(word);
    if (item) return item.record.created;
    throw new UsageError(`Cannot filter by container ${JSON.stringify(word)}: no name or id matches`, { exitCode: 1 });
  };
  const moments = new Map((filters.get("until") ?? []).map((text) => [text, parseMoment(text, now)]));
  for (const word of [...(filters.get("before") ?? []), ...(filters.get("since") ?? [])]) created(word);
  return applyFilters(items, filters, {
    ...MATCHERS,
    ancestor: (item, value) => isImage(item.record, value) || ancestors.get(value)?.(item.record) === true,
    before: ({ record }, value) => record.created < created(value),
    since: ({ record }, value) => record.created > created(value),
    until: ({ record }, value) => Date.parse(record.created) < (moments.get(value) ?? 0),
  });
}

/** The number in `net:[4026531840]`. */
function namespaceNumber(pid: number, kind: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/${kind}`).replace(/^.*\[|\]$/g, "");
  } catch {
    return "";
  }
}
