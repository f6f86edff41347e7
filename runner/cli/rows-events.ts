/** Lines of the journal in docker's shapes. */

import { visible } from "../base/error.ts";
import type { JournalEntry } from "../container/journal.ts";
import { applyFilters, type Filters, hasLabel } from "./filter.ts";

export const EVENT_FILTERS = ["type", "event", "container", "image", "label", "volume", "scope"] as const;

function attributes(entry: JournalEntry): Record<string, string> {
  const { time: _time, type: _type, action: _action, id: _id, labels, ...fields } = entry;
  // without a prototype it is a map to templates: what it lacks is no error
  return Object.assign(Object.create(null) as object, labels, fields) as Record<string, string>;
}

/** As docker's API gives it. */
export function eventObject(entry: JournalEntry): object {
  const nanoseconds = BigInt(entry.time);
  return {
    status: entry.action,
    id: entry.id,
    ...(entry.image !== undefined && { from: entry.image }),
    Type: entry.type,
    Action: entry.action,
    Actor: { ID: entry.id, Attributes: attributes(entry) },
    scope: "local",
    time: Number(nanoseconds / 1_000_000_000n),
    timeNano: Number(nanoseconds),
  };
}

/** `2024-05-01T10:00:00.000000000Z container start ID (image=…, name=…)` */
export function eventText(entry: JournalEntry): string {
  const nanoseconds = BigInt(entry.time);
  const seconds = new Date(Number(nanoseconds / 1_000_000_000n) * 1000).toISOString().slice(0, 19);
  const fraction = String(nanoseconds % 1_000_000_000n).padStart(9, "0");
  const fields = Object.entries(attributes(entry))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${value}`);
  return visible(`${seconds}.${fraction}Z ${entry.type} ${entry.action} ${entry.id} (${fields.join(", ")})`);
}

export function keepsEvent(entry: JournalEntry, filters: Filters): boolean {
  const isOf = (type: string, value: string) =>
    entry.type === type && (entry.name === value || entry.id.replace(/^sha256:/, "").startsWith(value));
  const kept = applyFilters([entry], filters, {
    type: ({ type }, value) => type === value,
    // docker: health_status stands for "health_status: healthy" as well
    event: ({ action }, value) => action === value || action.startsWith(`${value}:`),
    container: (_, value) => isOf("container", value),
    image: (_, value) => isOf("image", value) || entry.image === value || entry.image === `${value}:latest`,
    scope: (_, value) => value === "local",
    volume: (_, value) => isOf("volume", value),
    label: ({ labels = {} }, value) => hasLabel(labels, value),
  });
  return kept.length > 0;
}
