import { boolean, string } from "../flags.ts";
import { inspectedVolume } from "../rows-volumes.ts";
import { compileTemplate } from "../template.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "volume inspect",
  usage: "VOLUME…",
  summary: "Show all that is known of volumes, as JSON.",
  flags: {
    all: boolean({ short: "a", help: "all volumes" }),
    format: string({ short: "f", placeholder: "TEMPLATE", help: "a Go template, for each of them" }),
  },
  words: { min: 0 },
  examples: [
    ["tsbox volume inspect data", "all that is known of it"],
    ["tsbox volume inspect -f '{{.Mountpoint}}' data", "where its files lie on the host"],
  ],
  async act({ flags, words }, context) {
    if (words.length === 0 && !flags.all) {
      throw new UsageError("Cannot run tsbox volume inspect: it takes at least 1 word, got 0", {
        hint: "usage: tsbox volume inspect [FLAGS] VOLUME…",
        exitCode: 1,
      });
    }
    const format = flags.format === "json" ? undefined : flags.format;
    const render = format === undefined || format === "" ? undefined : compileTemplate(format);
    const { findVolume, volumes } = await import("../../engine/volumes.ts");
    const engine = engineOf(context);
    const found: object[] = [];
    let status = 0;
    for (const volume of flags.all ? volumes(engine) : words) {
      try {
        found.push(inspectedVolume(typeof volume === "string" ? findVolume(engine, volume) : volume));
      } catch (error) {
        const { errorText } = await import("../print-error.ts");
        context.stderr.write(errorText(error, context.debug));
        status = 1;
      }
    }
    context.stdout.write(
      render === undefined ? `${JSON.stringify(found, null, 2)}\n` : found.map((one) => `${render(one)}\n`).join(""),
    );
    return status;
  },
});
