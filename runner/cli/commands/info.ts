import { string } from "../flags.ts";
import { formatObject } from "../format-object.ts";
import { defineVerb, engineOf } from "../verb.ts";
import { VERSION } from "../version.ts";

export default defineVerb({
  name: "info",
  usage: "",
  summary: "Show the store, the host and how containers run here.",
  flags: { format: string({ short: "f", placeholder: "TEMPLATE", help: '"json" or a Go template' }) },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox info", "everything"],
    ["tsbox info --format '{{.StoreRoot}}'", "where images and containers lie"],
  ],
  async act({ flags }, context) {
    const show = formatObject(flags.format);
    const { info } = await import("../../engine/info.ts");
    context.stdout.write(show(await info(engineOf(context), VERSION)));
  },
});
