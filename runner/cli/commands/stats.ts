import { setTimeout as sleep } from "node:timers/promises";
import { boolean, number, string } from "../flags.ts";
import { listPrinter } from "../list-output.ts";
import { STATS_HEADINGS, STATS_TABLE, statsRow } from "../rows-stats.ts";
import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "stats",
  usage: "[CONTAINER…]",
  summary: "Show what running containers use of the machine, again and again.",
  description:
    "What a container's cgroup counts: processor time, memory without pages of files that can be given back, processes, bytes read from and written to " +
    "disks; and the network devices of its namespace but for lo. Where it has no cgroup, all is summed over its processes from /proc: processor time of " +
    "what lives at both looks, memory as proportional set size (what is shared is divided among those who share it).",
  flags: {
    all: boolean({ short: "a", help: "also those that do not run" }),
    latest: SELECTION_FLAGS.latest,
    format: string({ placeholder: "TEMPLATE", help: '"json", a Go template, or "table" and one' }),
    noStream: boolean({ help: "look once" }),
    noReset: boolean({ help: "do not clear the screen before each look" }),
    noTrunc: boolean({ help: "show ids in full" }),
    interval: number({ short: "i", min: 1, placeholder: "SECONDS", help: "time between two looks (default 1)" }),
  },
  words: { min: 0 },
  examples: [
    ["tsbox stats", "all that run, until interrupted"],
    ["tsbox stats --no-stream --format json web", "one look for a program"],
  ],
  async act({ flags, words }, context) {
    const print = listPrinter({
      format: flags.format,
      quiet: false,
      table: STATS_TABLE,
      id: "ID",
      headings: STATS_HEADINGS,
    });
    const engine = engineOf(context);
    const { UsageMeter } = await import("../../engine/stats.ts");
    const { list } = await import("../../engine/list.ts");
    const chosen =
      words.length > 0 || flags.latest
        ? await selectContainers(engine, words, { latest: flags.latest }, { command: "stats" })
        : undefined;
    const records = () =>
      chosen?.map((word) => engine.containers.find(word)) ??
      list(engine, { all: flags.all }).map(({ record }) => record);
    const meter = new UsageMeter(engine);
    const look = () => records().map((record) => meter.sample(record));
    look();
    const clears = context.stdout.isTTY === true && !flags.noStream && !flags.noReset && flags.format === undefined;
    for (;;) {
      await sleep((flags.interval ?? 1) * 1000, undefined, { signal: context.signal });
      const rows = look().map((usage) => statsRow(usage, !flags.noTrunc));
      context.stdout.write(`${clears ? "\x1b[H\x1b[2J" : ""}${print(rows)}`);
      if (flags.noStream) return;
    }
  },
});
