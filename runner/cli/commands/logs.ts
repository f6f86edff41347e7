import { boolean, value } from "../flags.ts";
import { parseMoment } from "../moment.ts";
import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "logs",
  usage: "CONTAINER…",
  summary: "Show what containers printed.",
  flags: {
    follow: boolean({ short: "f", help: "go on until the container ends" }),
    tail: value(parseTail, { short: "n", placeholder: "N|all", help: "only the last lines" }),
    since: value((text) => parseMoment(text, Date.now()), {
      placeholder: "TIME",
      help: "only lines since then: 2024-05-01T10:00:00, or 10m for ten minutes ago",
    }),
    until: value((text) => parseMoment(text, Date.now()), { placeholder: "TIME", help: "only lines before then" }),
    timestamps: boolean({ short: "t", help: "show when each line was printed" }),
    names: boolean({ help: "show the container's name before each line" }),
    details: boolean({ help: "show the labels of the container before each line" }),
    latest: SELECTION_FLAGS.latest,
  },
  words: { min: 0 },
  examples: [
    ["tsbox logs -f web", "show everything and go on"],
    ["tsbox logs --tail 20 -t web", "the last twenty lines with their times"],
  ],
  async act({ flags, words: given }, context) {
    const engine = engineOf(context);
    const words = await selectContainers(engine, given, flags, { command: "logs" });
    const { logs } = await import("../../engine/logs.ts");
    const { follow, tail, since, until, timestamps } = flags;
    // followed together, shown one after another
    if (follow) await Promise.all(words.map(show));
    else for (const word of words) await show(word);

    async function show(word: string): Promise<void> {
      const lines = logs(engine, word, {
        follow,
        ...(tail === undefined ? {} : { tail }),
        ...(since === undefined ? {} : { since: new Date(since) }),
      });
      const { name, labels } = engine.containers.find(word);
      const details = Object.entries(labels).map(([key, text]) => `${key}=${text}`);
      const head = `${flags.names ? `${name} ` : ""}${flags.details ? `${details.join(",")} ` : ""}`;
      let atStart = true;
      for await (const line of lines) {
        if (context.signal.aborted) return;
        if (until !== undefined && Date.parse(line.time) > until) return;
        const output = line.stream === "stdout" ? context.stdout : context.stderr;
        // The engine passes the program's bytes one a character; the words before them are ours.
        const before = atStart ? `${head}${timestamps ? `${line.time} ` : ""}` : "";
        output.write(
          Buffer.concat([Buffer.from(before), Buffer.from(`${line.text}${line.complete ? "\n" : ""}`, "latin1")]),
        );
        atStart = line.complete;
      }
    }
  },
});

/** undefined: all lines. */
function parseTail(text: string): number | undefined {
  if (text === "all" || text === "-1") return undefined;
  if (!/^\d+$/.test(text)) throw new UsageError('expected a number of lines, or "all"');
  return Number(text);
}
