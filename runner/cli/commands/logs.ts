import { boolean, value } from "../flags.ts";
import { parseMoment } from "../moment.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "logs",
  usage: "CONTAINER",
  summary: "Show what a container printed.",
  flags: {
    follow: boolean({ short: "f", help: "go on until the container ends" }),
    tail: value(parseTail, { short: "n", placeholder: "N|all", help: "only the last lines" }),
    since: value((text) => parseMoment(text, Date.now()), {
      placeholder: "TIME",
      help: "only lines since then: 2024-05-01T10:00:00, or 10m for ten minutes ago",
    }),
    until: value((text) => parseMoment(text, Date.now()), { placeholder: "TIME", help: "only lines before then" }),
    timestamps: boolean({ short: "t", help: "show when each line was printed" }),
  },
  words: { min: 1, max: 1 },
  examples: [
    ["tsbox logs -f web", "show everything and go on"],
    ["tsbox logs --tail 20 -t web", "the last twenty lines with their times"],
  ],
  async act({ flags, words: [word = ""] }, context) {
    const { logs } = await import("../../engine/logs.ts");
    const { follow, tail, since, until, timestamps } = flags;
    const lines = logs(engineOf(context), word, {
      follow,
      ...(tail === undefined ? {} : { tail }),
      ...(since === undefined ? {} : { since: new Date(since) }),
    });
    let atStart = true;
    for await (const line of lines) {
      if (context.signal.aborted) return;
      if (until !== undefined && Date.parse(line.time) > until) return;
      const output = line.stream === "stdout" ? context.stdout : context.stderr;
      // The engine passes the program's bytes one a character; only the time is ours.
      const text = `${timestamps && atStart ? `${line.time} ` : ""}${line.text}${line.complete ? "\n" : ""}`;
      output.write(Buffer.from(text, "latin1"));
      atStart = line.complete;
    }
  },
});

/** undefined: all lines. */
function parseTail(text: string): number | undefined {
  if (text === "all" || text === "-1") return undefined;
  if (!/^\d+$/.test(text)) throw new UsageError('expected a number of lines, or "all"');
  return Number(text);
}
