import { release } from "node:os";
import { PLAN_VERSION } from "../../plan/types.ts";
import { boolean, string } from "../flags.ts";
import { formatObject } from "../format-object.ts";
import { defineVerb } from "../verb.ts";
import { VERSION } from "../version.ts";

export default defineVerb({
  name: "version",
  usage: "",
  summary: "Show versions.",
  flags: {
    format: string({ short: "f", placeholder: "TEMPLATE", help: '"json" or a Go template' }),
    short: boolean({ help: "one line", hidden: true }),
  },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox version", "tsbox, Node and the kernel"],
    ["tsbox version --format '{{.Version}}'", "tsbox's alone"],
  ],
  async act({ flags }, context) {
    if (flags.short) {
      context.stdout.write(`tsbox version ${VERSION}\n`);
      return;
    }
    const show = formatObject(flags.format);
    const versions = {
      Version: VERSION,
      PlanVersion: PLAN_VERSION,
      NodeVersion: process.version,
      KernelVersion: release(),
      OsArch: `${process.platform}/${process.arch}`,
    };
    context.stdout.write(show(versions));
  },
});
