import { string } from "../flags.ts";
import { inspectedNetwork } from "../rows-networks.ts";
import { compileTemplate } from "../template.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "network inspect",
  usage: "NETWORK…",
  summary: "Show all that is known of networks, and who runs in them, as JSON.",
  flags: { format: string({ short: "f", placeholder: "TEMPLATE", help: "a Go template, for each of them" }) },
  words: { min: 1 },
  examples: [
    ["tsbox network inspect none", "containers with a loopback of their own"],
    ["tsbox network inspect -f '{{len .Containers}}' host", "how many share the host's network"],
  ],
  async act({ flags, words }, context) {
    const format = flags.format === "json" ? undefined : flags.format;
    const render = format === undefined || format === "" ? undefined : compileTemplate(format);
    const { findNetwork, networks } = await import("../../engine/networks.ts");
    const all = await networks(engineOf(context));
    const found: object[] = [];
    let status = 0;
    for (const word of words) {
      try {
        found.push(inspectedNetwork(findNetwork(all, word)));
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
