import { resolve } from "node:path";
import { changed } from "../context.ts";
import { string, value } from "../flags.ts";
import { parsePlatform } from "../options/platform.ts";
import { PROGRESS_FLAGS, progressPrinter } from "../progress.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "load",
  usage: "",
  summary: "Read images from an archive of docker or OCI form, or from a folder that skopeo or podman wrote.",
  flags: {
    input: string({ short: "i", placeholder: "FILE", help: "archive or folder (default: standard input)" }),
    platform: value(parsePlatform, {
      placeholder: "OS/ARCH[/VARIANT]",
      help: "which of several to take (default: this machine's)",
    }),
    ...PROGRESS_FLAGS,
  },
  words: { min: 0, max: 0 },
  cleansUp: true,
  examples: [
    ["tsbox load -i busybox.tar", "an archive that docker, podman or skopeo wrote"],
    ["docker save alpine | tsbox load", "from another engine"],
  ],
  async act({ flags }, context) {
    if (flags.input === undefined && context.stdinIsTerminal) {
      throw new UsageError("Cannot load from standard input: it is a terminal", {
        hint: "name a file with -i",
        exitCode: 1,
      });
    }
    const { load } = await import("../../engine/load.ts");
    const printer = progressPrinter(context, flags);
    const progress = printer.start(flags.input ?? "-");
    const loaded = await load(engineOf(changed(context, { stderr: printer.stderr })), {
      // Absent: standard input.
      ...(flags.input === undefined ? {} : { path: resolve(context.cwd, flags.input) }),
      ...(flags.platform === undefined ? {} : { platform: flags.platform }),
      signal: context.signal,
      onProgress: (event) => progress.update(event),
    }).finally(() => progress.end());
    for (const { names, id } of loaded) {
      for (const name of names) context.stdout.write(`Loaded image: ${name}\n`);
      if (names.length === 0) context.stdout.write(`Loaded image ID: ${id}\n`);
    }
  },
});
