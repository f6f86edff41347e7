import { createReadStream } from "node:fs";
import { resolve } from "node:path";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "volume import",
  usage: "VOLUME [FILE|-]",
  summary: "Add the files of a tar archive (plain, gzip or zstd) to a volume that exists.",
  flags: {},
  words: { min: 1, max: 2 },
  examples: [
    ["tsbox volume import data data.tar", "from a file"],
    ["tar -C folder -c . | tsbox volume import data -", "from standard input"],
  ],
  async act({ words: [word = "", file = "-"] }, context) {
    const [{ volumeFolderOf }, { importFolder }] = await Promise.all([
      import("../../engine/volumes.ts"),
      import("../../engine/cp.ts"),
    ]);
    const engine = engineOf(context);
    const folder = volumeFolderOf(engine, word);
    const input =
      file === "-" ? process.stdin : createReadStream(resolve(context.cwd, file), { highWaterMark: 1 << 20 });
    await importFolder(engine, folder, input);
  },
});
