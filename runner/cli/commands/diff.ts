import { choice } from "../flags.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "diff",
  usage: "CONTAINER|IMAGE [CONTAINER|IMAGE]",
  summary: "List what a container changed in its image, or an image's last layer in those below.",
  description:
    "A is added, C changed, D deleted; of a deleted directory only its own name is told. With a second word: what has to change in that one to become the first.",
  flags: {
    format: choice(["json"], { help: "one object with lists: changed, added, deleted" }),
  },
  words: { min: 1, max: 2 },
  examples: [
    ["tsbox diff web", "what the container web has written"],
    ["tsbox diff app:2 app:1", "what is new in the second version"],
  ],
  async act({ flags, words: [word = "", than] }, context) {
    const { diff } = await import("../../engine/diff.ts");
    const changes = await diff(engineOf(context), word, than, context.signal);
    if (flags.format === "json") {
      const list = changes.list();
      const of = (kind: string) => list.filter((change) => change.kind === kind).map(({ path }) => path);
      const lists = { changed: of("C"), added: of("A"), deleted: of("D") };
      const told = Object.fromEntries(Object.entries(lists).filter(([, paths]) => paths.length > 0));
      context.stdout.write(`${JSON.stringify(told, null, 4)}\n`);
      return;
    }
    context.stdout.write(changes.text());
  },
});
