import { watchEnv } from "../../base/watched-env.ts";
import { changed, warn } from "../context.ts";
import { readLockOptions } from "../lock-flags.ts";
import { pullingEngine } from "../pulling-engine.ts";
import { readRun } from "../read-run.ts";
import { RUN_FLAGS } from "../run-flags.ts";
import { defineVerb } from "../verb.ts";

export default defineVerb({
  name: "run",
  usage: "IMAGE [COMMAND [ARG…]]",
  summary: "Run a program in a new container.",
  description:
    'Flags after the image belong to the command. Two images are always there: "host", this machine\'s own root, with writes ' +
    'kept aside, and "base", a small busybox. Exit status: the program\'s own, or 125 when tsbox failed, 126 when the program ' +
    "cannot be executed, 127 when it is not there, 128+n when signal n ended it.",
  flags: RUN_FLAGS,
  words: { min: 0 },
  startsProgram: true,
  examples: [
    ["tsbox run --rm -it alpine sh", "a shell in a fresh container, removed when it ends"],
    [
      "tsbox run -d --name web -v ./site:/srv:ro busybox httpd -f -h /srv",
      "a server in the background that sees a folder of yours",
    ],
    ["tsbox run --rm --init base sleep 60", "ends by Ctrl-C; as pid 1 itself, sleep would not hear it"],
    ["tsbox run --rm host make test", "a program of this machine that cannot change it"],
  ],
  async act(parsed, outer) {
    const env = watchEnv(outer.env);
    const context = changed(outer, { env: env.env });
    const { options, warnings } = readRun(parsed, context);
    const { run } = await import("../../engine/run.ts");
    for (const line of warnings) warn(context, line);
    context.signal.throwIfAborted();
    const { envFile, labelFile } = parsed.flags;
    // what was read from files is not looked at again, a warning not told again, and what comes from the environment may be a secret
    const inherited = parsed.flags.env.some((word) => !word.includes("="));
    const again = warnings.length + envFile.length + labelFile.length === 0 && !inherited;
    const line = again ? { words: process.argv.slice(2), env } : undefined;
    const plan = await run(pullingEngine(context, parsed.flags.quiet, readLockOptions(parsed)), options, line);
    context.stdout.write(`${plan}\n`);
  },
});
