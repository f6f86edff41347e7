import { list, value } from "../flags.ts";
import { CGROUP_FLAGS, readLimits } from "../options/cgroup-limit.ts";
import { parsePidsLimit } from "../options/pids-limit.ts";
import { parseRestart } from "../options/restart.ts";
import { parseUlimit } from "../options/ulimit.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf, forEachWord } from "../verb.ts";

export default defineVerb({
  name: "update",
  usage: "CONTAINER…",
  summary: "Change the restart policy and the limits of containers, running or not.",
  flags: {
    restart: value(parseRestart, {
      placeholder: "POLICY",
      help: "no, on-failure[:N], always or unless-stopped; holds from the next end on",
    }),
    ulimit: list(
      { placeholder: "NAME=SOFT[:HARD]", help: "limit a resource of each process, as nofile=1024; holds at once" },
      parseUlimit,
    ),
    pidsLimit: value(parsePidsLimit, {
      placeholder: "N",
      group: "Limits",
      help: "at most so many processes at a time (0: no limit)",
    }),
    ...CGROUP_FLAGS,
  },
  words: { min: 1 },
  sweeps: true,
  examples: [
    ["tsbox update --restart always web", "from now on it is started again when it ends"],
    ["tsbox update -m 1g --cpus 2 web", "at most so much memory and processor time, at once"],
    ["tsbox update --ulimit nofile=4096 web", "more files for each of its processes, from now on"],
  ],
  async act({ flags, words }, context) {
    const limits = readLimits(flags);
    const { restart, pidsLimit, ulimit } = flags;
    if (restart === undefined && ulimit.length === 0 && limits === undefined && pidsLimit === undefined) {
      throw new UsageError("Cannot update: no change was named", {
        hint: "--restart POLICY, --memory SIZE, --cpus N, --ulimit NAME=SOFT…",
        exitCode: 1,
      });
    }
    const changes = {
      ...(restart !== undefined && { restart }),
      ...(limits !== undefined && { limits }),
      ...(pidsLimit !== undefined && { pidsLimit }),
      ulimits: ulimit,
    };
    const { update } = await import("../../engine/update.ts");
    const engine = engineOf(context);
    return forEachWord(words, context, async (word) => update(engine, word, changes));
  },
});
