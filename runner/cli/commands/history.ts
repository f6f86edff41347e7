import { boolean, string } from "../flags.ts";
import { listPrinter } from "../list-output.ts";
import { HISTORY_HEADINGS, HISTORY_TABLE, type HistoryItem, historyRow } from "../rows-images.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "history",
  usage: "IMAGE",
  summary: "Show the steps by which an image was made, the last one first.",
  flags: {
    quiet: boolean({ short: "q", help: "ids only" }),
    format: string({ placeholder: "TEMPLATE", help: '"json", a Go template, or "table" and one' }),
    noTrunc: boolean({ help: "show commands in full" }),
    human: boolean({
      short: "H",
      default: true,
      help: "sizes and times for people (default; --human=false for programs)",
    }),
  },
  words: { min: 1, max: 1 },
  examples: [
    ["tsbox history busybox", "the table"],
    ["tsbox history --no-trunc --format '{{.CreatedBy}}' busybox", "the commands alone"],
  ],
  async act({ flags, words: [word = ""] }, context) {
    const print = listPrinter({ ...flags, table: HISTORY_TABLE, id: "ID", headings: HISTORY_HEADINGS });
    const { history } = await import("../../engine/history.ts");
    const items = await history(engineOf(context), word);
    context.stdout.write(
      print(items.map((item: HistoryItem) => historyRow(item, context.now(), !flags.noTrunc, flags.human))),
    );
  },
});
