import { resolve } from "node:path";
import { number, string } from "../flags.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "export",
  usage: "CONTAINER",
  summary: "Write a container's file system as a tar, without what is mounted into it.",
  flags: {
    output: string({ short: "o", placeholder: "FILE", help: "where to (default: standard output)" }),
    sourceDateEpoch: number({ placeholder: "SECONDS", help: "no file is later (seconds since 1970)" }),
  },
  words: { min: 1, max: 1 },
  cleansUp: true,
  examples: [
    ["tsbox export -o root.tar web", "to a file"],
    ["tsbox export web | tsbox import - web:flat", "one image of one layer"],
  ],
  async act({ flags, words: [word = ""] }, context) {
    if (flags.output === undefined && context.stdout.isTTY) {
      throw new UsageError("Cannot export: standard output is a terminal", {
        hint: "name a file with -o",
        exitCode: 1,
      });
    }
    const { exportContainer } = await import("../../engine/export.ts");
    await exportContainer(engineOf(context), word, {
      // Absent: standard output.
      ...(flags.output === undefined ? {} : { path: resolve(context.cwd, flags.output) }),
      ...(flags.sourceDateEpoch === undefined ? {} : { sourceDateEpoch: flags.sourceDateEpoch }),
      signal: context.signal,
    });
  },
});
