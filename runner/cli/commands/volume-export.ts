import { createWriteStream } from "node:fs";
import { resolve } from "node:path";
import { finished } from "node:stream/promises";
import { string } from "../flags.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "volume export",
  usage: "VOLUME",
  summary: "Write what is in a volume as a tar archive, to standard output or a file.",
  flags: { output: string({ short: "o", placeholder: "FILE", help: "write to this file" }) },
  words: { min: 1, max: 1 },
  examples: [
    ["tsbox volume export data -o data.tar", "to a file"],
    ["tsbox volume export data | gzip > data.tar.gz", "compressed"],
  ],
  async act({ flags, words: [word = ""] }, context) {
    const toFile = flags.output !== undefined && flags.output !== "-" && flags.output !== "/dev/stdout";
    if (!toFile && context.stdout.isTTY) {
      throw new UsageError("Cannot write the archive to a terminal", { hint: "use -o FILE, or a pipe", exitCode: 1 });
    }
    const [{ volumeFolderOf }, { exportFolder }] = await Promise.all([
      import("../../engine/volumes.ts"),
      import("../../engine/cp.ts"),
    ]);
    const engine = engineOf(context);
    const folder = volumeFolderOf(engine, word);
    const output = toFile ? createWriteStream(resolve(context.cwd, flags.output as string)) : process.stdout;
    await exportFolder(engine, folder, output);
    if (!toFile) return;
    output.end();
    await finished(output);
  },
});
