/** Which containers a verb works on: those named, or `--all`, `--latest`, `--filter`, `--cidfile`. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Engine } from "../engine/engine.ts";
import { parseFilters } from "./filter.ts";
import { boolean, type Flags, type FlagValues, list } from "./flags.ts";
import { UsageError } from "./usage-error.ts";

export const SELECTION_FLAGS = {
  all: boolean({ short: "a", help: "all containers that this can be done to" }),
  latest: boolean({ short: "l", help: "the container made last" }),
  filter: list({ short: "f", placeholder: "KEY=VALUE", help: 'those that "tsbox ps --filter" shows' }),
  cidfile: list({ placeholder: "FILE", help: "read the container's id from a file" }),
} satisfies Flags;

/** `words` as given, or the ids of what the flags select. `statuses`: what `--all` takes; absent: every one. */
export async function selectContainers(
  engine: Engine,
  words: readonly string[],
  flags: Partial<FlagValues<typeof SELECTION_FLAGS>>,
  rules: { command: string; statuses?: readonly string[] },
): Promise<string[]> {
  const named = [...words, ...(flags.cidfile ?? []).map(readId)];
  const selects = flags.all || flags.latest || (flags.filter ?? []).length > 0;
  if (!selects) {
    if (named.length > 0) return named;
    throw new UsageError(`Cannot run tsbox ${rules.command}: it takes at least 1 word, got 0`, {
      hint: `usage: tsbox ${rules.command} [FLAGS] CONTAINER…`,
      exitCode: 1,
    });
  }
  if (named.length > 0) {
    throw new UsageError(`Cannot run tsbox ${rules.command}: name containers, or use --all, --latest or --filter`, {
      exitCode: 1,
    });
  }
  const [{ filterContainers, PS_FILTERS }, { list: listContainers }] = await Promise.all([
    import("./rows-ps.ts"),
    import("../engine/list.ts"),
  ]);
  const filters = parseFilters(flags.filter ?? [], PS_FILTERS);
  const descends = filters.has("ancestor")
    ? (await import("../engine/descendants.ts")).descendsFrom.bind(undefined, engine)
    : undefined;
  const found = filterContainers(listContainers(engine, { all: true }), filters, descends ? { descends } : {});
  const fitting = found.filter(({ state }) => rules.statuses?.includes(state.status) ?? true);
  return (flags.latest ? found.slice(0, 1) : fitting).map(({ record }) => record.id);
}

function readId(path: string): string {
  try {
    return readFileSync(resolve(path), "utf8").trim();
  } catch (cause) {
    throw new UsageError(`Cannot read cidfile "${path}": ${(cause as NodeJS.ErrnoException).code}`, {
      cause,
      exitCode: 1,
    });
  }
}
