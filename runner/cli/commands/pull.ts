import type { SearchOptions } from "../../engine/search.ts";
import { changed } from "../context.ts";
import { boolean, value } from "../flags.ts";
import { LOCK_FLAGS, readLockOptions } from "../lock-flags.ts";
import { parsePlatform } from "../options/platform.ts";
import { PROGRESS_FLAGS, progressPrinter } from "../progress.ts";
import { readConnection, TRANSFER_FLAGS } from "../registry-flags.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "pull",
  usage: "IMAGE…",
  summary: "Fetch images from a registry.",
  description:
    "Of a name that stands for several platforms one is kept: this machine's, or --platform's. Layers that a registry may not pass on are fetched from their maker.",
  flags: {
    platform: value(parsePlatform, {
      placeholder: "OS/ARCH[/VARIANT]",
      help: "platform of the image (default: this machine's)",
    }),
    allTags: boolean({ short: "a", help: "every tag of a repository" }),
    ...LOCK_FLAGS,
    ...PROGRESS_FLAGS,
    ...TRANSFER_FLAGS,
  },
  words: { min: 1 },
  cleansUp: true,
  examples: [
    ["tsbox pull alpine:3.20", "from Docker Hub"],
    ["tsbox pull localhost:5000/app@sha256:…", "from a registry of your own, by digest"],
  ],
  async act(parsed, context) {
    const { flags, words } = parsed;
    const { pull } = await import("../../engine/pull.ts");
    const printer = progressPrinter(context, flags);
    const engine = engineOf(changed(context, { stderr: printer.stderr }), readLockOptions(parsed));
    const connection = readConnection(parsed, context.cwd);
    const names = flags.allTags ? await everyTag(words, { connection, signal: context.signal }) : words;
    for (const reference of names) {
      const progress = printer.start(reference);
      const image = await pull(engine, reference, {
        ...(flags.platform === undefined ? {} : { platform: flags.platform }),
        connection,
        signal: context.signal,
        onProgress: (event) => progress.update(event),
      }).finally(() => progress.end());
      context.stdout.write(`${image.reference}\n`);
    }
  },
});

async function everyTag(repositories: string[], options: Omit<SearchOptions, "limit">): Promise<string[]> {
  const { tags } = await import("../../engine/search.ts");
  const found: string[] = [];
  for (const repository of repositories) {
    const own = await tags(repository, { ...options, limit: Number.POSITIVE_INFINITY });
    found.push(...own.tags.map((tag) => `${own.name}:${tag}`));
  }
  return found;
}
