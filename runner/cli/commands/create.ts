import { warn } from "../context.ts";
import { pullingEngine } from "../pulling-engine.ts";
import { readRun } from "../read-run.ts";
import { CREATE_FLAGS } from "../run-flags.ts";
import { defineVerb } from "../verb.ts";

export default defineVerb({
  name: "create",
  usage: "IMAGE [COMMAND [ARG…]]",
  summary: "Make a container without starting it, and print its id.",
  flags: CREATE_FLAGS,
  words: { min: 0 },
  sweeps: true,
  startsProgram: true,
  examples: [
    ["tsbox create --name web busybox httpd -f", 'made now, started by "tsbox start web"'],
    ["tsbox create -it --name shell alpine sh", 'a shell to be used with "tsbox start -ai shell"'],
  ],
  async act(parsed, context) {
    const flags = { ...parsed.flags, detach: false, detachKeys: undefined };
    const { options, warnings } = readRun({ ...parsed, flags }, context);
    const { create } = await import("../../engine/create.ts");
    for (const line of warnings) warn(context, line);
    const made = await create(pullingEngine(context, flags.quiet), options);
    context.stdout.write(`${typeof made === "string" ? made : made.id}\n`);
  },
});
