/** Images as `images` shows and filters them, and the steps of `history`. */

import { visible } from "../base/error.ts";
import { applyFilters, type Filters, hasLabel, isTruthy, matchesGlob } from "./filter.ts";
import { ellipsis, shortId } from "./table.ts";
import { ago, goTime, humanSize } from "./units.ts";
import { UsageError } from "./usage-error.ts";

/** What the rows are made of. */
export interface ImageItem {
  /** `sha256:…` of the image config. */
  id: string;
  /** `REPOSITORY:TAG` as people write it; empty: the image has no name. */
  names: readonly string[];
  /** Digest of the manifest. */
  digest?: string | undefined;
  /** RFC 3339. */
  created?: string | undefined;
  /** Bytes of all layers, unpacked. */
  size: number;
  labels: Readonly<Record<string, string>>;
  /** How many were made from it. */
  containers?: number;
}

export const IMAGES_TABLE = "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";
export const IMAGES_DIGEST_TABLE =
  "table {{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}";

export const IMAGES_HEADINGS: Record<string, unknown> = {
  Repository: "REPOSITORY",
  Tag: "TAG",
  Digest: "DIGEST",
  ID: "IMAGE ID",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  Size: "SIZE",
  Containers: "CONTAINERS",
  SharedSize: "SHARED SIZE",
  UniqueSize: "UNIQUE SIZE",
  VirtualSize: "SIZE",
};

/** One row a name; an image without one has a row of `<none>`. */
export function imageRows(item: ImageItem, now: number, truncate: boolean): object[] {
  const names = item.names.length > 0 ? item.names.map(splitName) : [{ repository: "<none>", tag: "<none>" }];
  const created = item.created === undefined ? undefined : new Date(item.created);
  return names.map(({ repository, tag }) => ({
    Repository: visible(repository),
    Tag: visible(tag),
    Digest: item.digest ?? "<none>",
    ID: truncate ? shortId(item.id) : item.id,
    CreatedSince: ago(created, now),
    get CreatedAt() {
      return created === undefined ? "N/A" : goTime(created);
    },
    Size: humanSize(item.size),
    Containers: item.containers === undefined ? "N/A" : String(item.containers),
    SharedSize: "N/A",
    UniqueSize: "N/A",
    VirtualSize: humanSize(item.size),
  }));
}

/** `localhost:5000/a/b:1` → `localhost:5000/a/b` and `1`. */
export function splitName(name: string): { repository: string; tag: string } {
  const bare = name.replace(/@.*$/, "");
  const colon = bare.lastIndexOf(":");
  if (colon <= bare.lastIndexOf("/")) return { repository: bare, tag: "<none>" };
  return { repository: bare.slice(0, colon), tag: bare.slice(colon + 1) };
}

export const IMAGE_FILTERS = [
  "dangling",
  "label",
  "label!",
  "reference",
  "id",
  "before",
  "since",
  "after",
  "until",
  "containers",
  "readonly",
  "intermediate",
] as const;

export const IMAGE_ORDERS = ["created", "id", "repository", "size", "tag"] as const;

/** Rows in podman's orders: the newest and the largest first, words by the alphabet. */
export function sortImageRows<T extends { item: ImageItem; row: object }>(
  rows: readonly T[],
  order: (typeof IMAGE_ORDERS)[number],
): T[] {
  const word = (row: object, key: string) => String((row as Record<string, unknown>)[key]);
  const byWord = (key: string) => (a: T, b: T) => (word(a.row, key) < word(b.row, key) ? -1 : 1);
  const orders: Record<(typeof IMAGE_ORDERS)[number], (a: T, b: T) => number> = {
    created: () => 0, // as they come
    id: byWord("ID"),
    repository: byWord("Repository"),
    tag: byWord("Tag"),
    size: (a, b) => b.item.size - a.item.size,
  };
  return [...rows].sort(orders[order]);
}

export function filterImages(
  items: readonly ImageItem[],
  filters: Filters,
  moment: (text: string) => number,
): ImageItem[] {
  const time = (item: ImageItem | undefined) => Date.parse(item?.created ?? "");
  const named = (word: string) => {
    const found = items.find((item) => isCalled(item, word));
    if (found) return found;
    throw new UsageError(`Cannot filter by "${visible(word)}": there is no such image`, { exitCode: 1 });
  };
  for (const key of ["before", "since", "after"]) for (const word of filters.get(key) ?? []) named(word);
  return applyFilters(items, filters, {
    dangling: (item, value) => (item.names.length === 0) === isTruthy(value, "dangling"),
    label: (item, value) => hasLabel(item.labels, value),
    "label!": (item, value) => !hasLabel(item.labels, value),
    id: (item, value) => item.id.replace(/^sha256:/, "").startsWith(value.replace(/^sha256:/, "")),
    containers: (item, value) => (item.containers ?? 0) > 0 === isTruthy(value, "containers"),
    // no image here is another store's, nor a step of a build
    readonly: (_, value) => !isTruthy(value, "readonly"),
    intermediate: (_, value) => !isTruthy(value, "intermediate"),
    after: (item, value) => time(item) > time(named(value)),
    reference: (item, value) => item.names.some((name) => matchesReference(name, value)),
    before: (item, value) => time(item) < time(named(value)),
    since: (item, value) => time(item) > time(named(value)),
    until: (item, value) => time(item) < moment(value),
  });
}

export function isCalled(item: ImageItem, word: string): boolean {
  if (item.names.includes(word) || item.names.includes(`${word}:latest`)) return true;
  const digits = word.replace(/^sha256:/, "");
  return /^[0-9a-f]+$/.test(digits) && item.id.replace(/^sha256:/, "").startsWith(digits);
}

/** The pattern is held against the whole name, the repository, and its last part, so that `busy*` and `*:3` work. */
export function matchesReference(name: string, pattern: string): boolean {
  const { repository } = splitName(name);
  const last = (text: string) => text.slice(text.lastIndexOf("/") + 1);
  return [name, repository, last(name), last(repository)].some((text) => matchesGlob(text, pattern));
}

export interface HistoryItem {
  /** Id of the image for the topmost step; absent for the others. */
  id?: string | undefined;
  created?: string | undefined;
  createdBy: string;
  size: number;
  comment: string;
}

export const HISTORY_TABLE = "table {{.ID}}\t{{.CreatedSince}}\t{{.CreatedBy}}\t{{.Size}}\t{{.Comment}}";

export const HISTORY_HEADINGS: Record<string, unknown> = {
  ID: "IMAGE",
  CreatedSince: "CREATED",
  CreatedAt: "CREATED AT",
  CreatedBy: "CREATED BY",
  Size: "SIZE",
  Comment: "COMMENT",
};

export function historyRow(item: HistoryItem, now: number, truncate: boolean, human: boolean): object {
  const created = item.created === undefined ? undefined : new Date(item.created);
  // Long commands have line breaks and tabs, which would break the table.
  const command = visible(item.createdBy.replace(/\s+/g, " "));
  const id = item.id ?? "<missing>";
  return {
    ID: truncate && item.id !== undefined ? shortId(id) : id,
    CreatedSince: human ? ago(created, now) : (item.created ?? "N/A"),
    CreatedAt: item.created ?? "N/A",
    CreatedBy: truncate ? ellipsis(command, 45) : command,
    Size: human ? humanSize(item.size) : String(item.size),
    Comment: visible(item.comment),
  };
}
