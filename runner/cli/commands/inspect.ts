import { TsboxError } from "../../base/error.ts";
import { boolean, choice, string } from "../flags.ts";
import { errorText } from "../print-error.ts";
import { compileTemplate } from "../template.ts";
import { defineVerb, engineOf } from "../verb.ts";

/** What the engine's lookups say of a word that names nothing. */
const MISSING = new Set(["NO_SUCH_CONTAINER", "NO_SUCH_IMAGE", "IMAGE_NOT_FOUND"]);

export default defineVerb({
  name: "inspect",
  usage: "CONTAINER|IMAGE…",
  summary: "Show all that is known of containers or images.",
  flags: {
    format: string({ short: "f", placeholder: "TEMPLATE", help: '"json", or a Go template for each' }),
    size: boolean({ short: "s", help: "of containers also what they have written, and their size with the image's" }),
    type: choice(["container", "image", "all"], { help: "look for one kind only" }),
  },
  words: { min: 1 },
  examples: [
    ["tsbox inspect web", "a JSON list with one object"],
    ["tsbox inspect --format '{{.State.Pid}}' web", "one field; {{json .}}, range and index work as in docker"],
  ],
  async act({ flags, words }, context) {
    const json = flags.format === undefined || flags.format === "" || flags.format === "json";
    const render = json ? undefined : compileTemplate(flags.format ?? "");
    const engine = engineOf(context);
    const objects: object[] = [];
    let status = 0;
    for (const word of words) {
      try {
        const object = await look(word);
        if (render === undefined) objects.push(object);
        else context.stdout.write(`${render(object)}\n`);
      } catch (error) {
        context.stderr.write(errorText(error, context.debug));
        status = 1;
      }
    }
    if (render === undefined) {
      context.stdout.write(`${JSON.stringify(objects, null, flags.format === "json" ? undefined : 4)}\n`);
    }
    return status;

    async function sizesOf(word: string): Promise<object> {
      const { wholeSizes } = await import("../../engine/container-sizes.ts");
      const { find } = await import("../../engine/list.ts");
      const [size] = await wholeSizes(engine, [find(engine, word)]);
      return { SizeRw: size?.own, SizeRootFs: size?.whole };
    }

    async function look(word: string): Promise<object> {
      if (flags.type !== "image") {
        const { inspectContainer } = await import("../../engine/inspect.ts");
        try {
          return { ...inspectContainer(engine, word), ...(flags.size && (await sizesOf(word))) };
        } catch (error) {
          if (flags.type === "container" || !isMissing(error)) throw error;
        }
      }
      const { inspectImage } = await import("../../engine/inspect-image.ts");
      try {
        return await inspectImage(engine, word);
      } catch (error) {
        if (flags.type === "image" || !isMissing(error)) throw error;
      }
      throw new TsboxError(`Cannot inspect "${word}": no container or image of that name`, {
        code: "NO_SUCH_OBJECT",
        hint: '"tsbox ps -a" and "tsbox images" list them',
        exitCode: 1,
      });
    }
  },
});

function isMissing(error: unknown): boolean {
  return error instanceof TsboxError && MISSING.has(error.code);
}
