import { TsboxError } from "../../base/error.ts";
import { boolean } from "../flags.ts";
import { errorText } from "../print-error.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "rmi",
  usage: "IMAGE…",
  summary: "Remove names of images, and images that have none left.",
  flags: {
    force: boolean({
      short: "f",
      help: "also when a container that has ended was made of it, or an id has several names",
    }),
    all: boolean({ short: "a", help: "remove every image" }),
    ignore: boolean({ short: "i", help: "an image that is not there is no failure" }),
    noPrune: boolean({ help: "accepted: images have no parents here", hidden: true }),
  },
  words: { min: 0 },
  examples: [
    ["tsbox rmi alpine:3.20", "remove one name, and the image with its last name"],
    ["tsbox rmi -af", "remove every image that no running container uses"],
    ["tsbox rmi $(tsbox images -q -f dangling=true)", "remove images without a name"],
  ],
  async act({ flags, words }, context) {
    if (flags.all === words.length > 0) {
      const why = flags.all ? "--all takes no images" : "it takes at least one image";
      throw new UsageError(`Cannot run tsbox rmi: ${why}`, { hint: "usage: tsbox rmi [FLAGS] IMAGE…", exitCode: 1 });
    }
    const { removeImage } = await import("../../engine/remove-image.ts");
    const { collectGarbage } = await import("../../engine/gc.ts");
    const engine = engineOf(context);
    let asked: string[] = words;
    if (flags.all) {
      const { images } = await import("../../engine/images.ts");
      asked = (await images(engine)).map(({ id }) => id);
    }
    let status = 0;
    for (const word of new Set(asked)) {
      try {
        const force = flags.force || flags.all;
        const { untagged, deleted } = await removeImage(engine, word, { force, keepContent: true });
        for (const name of untagged) context.stdout.write(`Untagged: ${name}\n`);
        for (const id of deleted) context.stdout.write(`Deleted: ${id}\n`);
      } catch (error) {
        if (flags.ignore && error instanceof TsboxError && error.code === "NO_SUCH_IMAGE") continue;
        context.stderr.write(errorText(error, context.debug));
        status = 1;
      }
    }
    await collectGarbage(engine);
    return status;
  },
});
