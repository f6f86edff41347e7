import { setTimeout as sleep } from "node:timers/promises";
import { type JournalEntry, JournalReader } from "../container/journal.ts";
import type { Engine } from "./engine.ts";

/** How often the journal is looked at. */
const INTERVAL = 100;

/** What happened between two moments (milliseconds since 1970), and what happens until the second one; without it, for ever. */
export async function* events(
  engine: Engine,
  options: { since?: number; until?: number; follow: boolean; signal?: AbortSignal },
): AsyncGenerator<JournalEntry> {
  const { since = Date.now(), until = Number.POSITIVE_INFINITY, follow, signal } = options;
  const reader = new JournalReader(engine.root);
  const within = (entry: JournalEntry) => moment(entry) >= since && moment(entry) <= until;
  const old = since < Date.now() ? reader.older() : [];
  for (const entry of [...old, ...reader.read()]) if (within(entry)) yield entry;
  while (follow && Date.now() <= until && !signal?.aborted) {
    await sleep(Math.min(INTERVAL, Math.max(0, until - Date.now()) + 1));
    for (const entry of reader.read()) if (within(entry)) yield entry;
  }
}

function moment(entry: JournalEntry): number {
  return Number(BigInt(entry.time) / 1_000_000n);
}
