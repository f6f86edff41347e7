import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { familiarName, familiarRepository } from "../../oci/reference.ts";
import { changed } from "../context.ts";
import { boolean, choice, string } from "../flags.ts";
import { PROGRESS_FLAGS, progressPrinter } from "../progress.ts";
import { readConnection, TRANSFER_FLAGS } from "../registry-flags.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "push",
  usage: "IMAGE [DESTINATION]",
  summary: "Give a registry an image.",
  description:
    "Without a destination the image's own name says where to. What the registry has is not sent again. The image keeps its digest, " +
    "unless --format or --compression-format changes it.",
  flags: {
    allTags: boolean({ short: "a", help: "push every tag of a repository" }),
    digestfile: string({ placeholder: "FILE", help: "write the digest to this file" }),
    format: choice(["oci", "v2s2"], { short: "f", help: "form of the manifest (default: the image's own)" }),
    compressionFormat: choice(["gzip"], {
      help: "compress layers that are not, or by zstd (default: they stay as they are)",
    }),
    ...PROGRESS_FLAGS,
    quiet: { ...PROGRESS_FLAGS.quiet, help: "show no progress; print the name alone" },
    ...TRANSFER_FLAGS,
  },
  words: { min: 1, max: 2 },
  cleansUp: true,
  examples: [
    ["tsbox push localhost:5000/app:1", "to a registry of your own"],
    ["tsbox push app registry.example.com/team/app:1", "under another name"],
  ],
  async act(parsed, context) {
    const { flags, words } = parsed;
    const [word = "", destination] = words;
    if (flags.allTags && destination !== undefined) {
      throw new UsageError("Cannot use --all-tags with a destination: each tag goes where its name says");
    }
    const { push, tagsOf } = await import("../../engine/push.ts");
    const printer = progressPrinter(context, flags);
    const engine = engineOf(changed(context, { stderr: printer.stderr }));
    const connection = readConnection(parsed, context.cwd);
    for (const name of flags.allTags ? tagsOf(engine, word) : [word]) {
      const progress = printer.start(destination ?? name);
      const { reference, digest, size } = await push(engine, name, {
        ...(destination !== undefined && { destination }),
        ...(flags.format !== undefined && { format: flags.format }),
        ...(flags.compressionFormat !== undefined && { compression: flags.compressionFormat }),
        connection,
        signal: context.signal,
        onProgress: (event) => progress.update(event),
      }).finally(() => progress.end());
      if (flags.digestfile !== undefined) writeFileSync(resolve(context.cwd, flags.digestfile), digest);
      const line = flags.quiet
        ? familiarName(reference)
        : `${reference.tag ?? familiarRepository(reference)}: digest: ${digest} size: ${size}`;
      context.stdout.write(`${line}\n`);
    }
  },
});
