import { resolve } from "node:path";
import { choice, string } from "../flags.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "save",
  usage: "IMAGE…",
  summary: "Write images to an archive, or to an OCI folder.",
  flags: {
    output: string({ short: "o", placeholder: "FILE", help: "where to (default: standard output)" }),
    format: choice(["docker-archive", "oci-archive", "oci-dir"], {
      help: "form of the result (default docker-archive)",
    }),
  },
  words: { min: 1 },
  cleansUp: true,
  examples: [
    ["tsbox save -o images.tar busybox alpine", "two images in one archive"],
    ["tsbox save busybox | docker load", "to another engine"],
  ],
  async act({ flags, words }, context) {
    const format = flags.format ?? "docker-archive";
    if (flags.output === undefined && (context.stdout.isTTY || format === "oci-dir")) {
      const why = format === "oci-dir" ? "a folder needs a name" : "standard output is a terminal";
      throw new UsageError(`Cannot save: ${why}`, { hint: "name a file or folder with -o", exitCode: 1 });
    }
    const { save } = await import("../../engine/save.ts");
    await save(engineOf(context), words, {
      format,
      // Absent: standard output.
      ...(flags.output === undefined ? {} : { path: resolve(context.cwd, flags.output) }),
      signal: context.signal,
    });
  },
});
