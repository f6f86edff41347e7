import { boolean } from "../flags.ts";
import { errorText } from "../print-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "rmi",
  usage: "IMAGE…",
  summary: "Remove names of images, and images that have none left.",
  flags: { force: boolean({ short: "f", help: "also when a container that has ended was made of it" }) },
  words: { min: 1 },
  examples: [
    ["tsbox rmi alpine:3.20", "remove one name, and the image with its last name"],
    ["tsbox rmi $(tsbox images -q -f dangling=true)", "remove images without a name"],
  ],
  async act({ flags, words }, context) {
    const { removeImage } = await import("../../engine/remove-image.ts");
    const engine = engineOf(context);
    let status = 0;
    for (const word of words) {
      try {
        const { untagged, deleted } = await removeImage(engine, word, { force: flags.force });
        for (const name of untagged) context.stdout.write(`Untagged: ${name}\n`);
        for (const id of deleted) context.stdout.write(`Deleted: ${id}\n`);
      } catch (error) {
        context.stderr.write(errorText(error, context.debug));
        status = 1;
      }
    }
    return status;
  },
});
