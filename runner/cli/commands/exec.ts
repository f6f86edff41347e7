import { EXEC_FLAGS } from "../process-flags.ts";
import { readExec } from "../read-process.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "exec",
  usage: "CONTAINER COMMAND [ARG…]",
  summary: "Run a program in a running container.",
  flags: EXEC_FLAGS,
  words: { min: 2 },
  startsProgram: true,
  examples: [
    ["tsbox exec -it web sh", "a shell in the container web"],
    ["tsbox exec -u nobody -w /srv web ls -l", "one command, as another user, in another directory"],
  ],
  async act(parsed, context) {
    const { exec } = await import("../../engine/exec.ts");
    exec(engineOf(context), readExec(parsed, context));
  },
});
