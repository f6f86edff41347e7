import { resolve } from "node:path";
import { boolean, list, string, value } from "../flags.ts";
import { parsePlatform } from "../options/platform.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "import",
  usage: "FILE|URL|- [IMAGE]",
  summary: "Make an image of a tarball that holds a root file system; plain or compressed by gzip, zstd, xz or bzip2.",
  flags: {
    change: list({
      short: "c",
      placeholder: "INSTRUCTION",
      help: "set something of the image, as 'CMD [\"sh\"]' or 'ENV A=1'",
    }),
    message: string({ short: "m", placeholder: "TEXT", help: "comment in the image's history" }),
    platform: value(parsePlatform, {
      placeholder: "OS/ARCH[/VARIANT]",
      help: "platform of what is in it (default: this machine's)",
    }),
    quiet: boolean({ short: "q", help: "accepted: only the id is printed anyway", hidden: true }),
  },
  words: { min: 1, max: 2 },
  cleansUp: true,
  examples: [
    ["tsbox import alpine-minirootfs.tar.gz alpine:3.20", "from a file"],
    ["tsbox import https://example.com/root.tar.zst mine", "from a web server"],
    ["tar -C rootfs -c . | tsbox import -c 'CMD [\"sh\"]' - mine", "from standard input, with a command"],
  ],
  async act({ flags, words: [file = "", reference] }, context) {
    if (file === "-" && context.stdinIsTerminal) {
      throw new UsageError("Cannot import from standard input: it is a terminal", { exitCode: 1 });
    }
    const { importRoot, isAddress } = await import("../../engine/import.ts");
    const id = await importRoot(engineOf(context), {
      // Absent: standard input.
      ...(file === "-" ? {} : { path: isAddress(file) ? file : resolve(context.cwd, file) }),
      ...(reference === undefined ? {} : { reference }),
      changes: flags.change,
      ...(flags.message === undefined ? {} : { message: flags.message }),
      ...(flags.platform === undefined ? {} : { platform: flags.platform }),
      signal: context.signal,
    });
    context.stdout.write(`${id}\n`);
  },
});
