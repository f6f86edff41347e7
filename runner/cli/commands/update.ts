import { type Flag, list, string, value } from "../flags.ts";
import { parseRestart } from "../options/restart.ts";
import { parseUlimit } from "../options/ulimit.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf, forEachWord } from "../verb.ts";

/** Limits that docker keeps in a cgroup: a container here has none of its own. */
const NEEDS_CGROUP = [
  "memory",
  "memorySwap",
  "memoryReservation",
  "cpus",
  "cpuShares",
  "cpuPeriod",
  "cpuQuota",
  "cpusetCpus",
  "cpusetMems",
  "pidsLimit",
  "blkioWeight",
] as const;

const refused = Object.fromEntries(
  NEEDS_CGROUP.map((name) => [name, string({ hidden: true, help: "needs a cgroup" })]),
) as Record<(typeof NEEDS_CGROUP)[number], Flag<string | undefined>>;

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
    ...refused,
  },
  words: { min: 1 },
  sweeps: true,
  examples: [
    ["tsbox update --restart always web", "from now on it is started again when it ends"],
    ["tsbox update --ulimit nofile=4096 web", "more files for each of its processes, from now on"],
  ],
  async act({ flags, words, given }, context) {
    for (const name of NEEDS_CGROUP) {
      if (!given.has(name)) continue;
      throw new UsageError("Cannot change this limit: the container has no cgroup of its own", {
        hint: '"tsbox update --ulimit" limits its processes one by one: as=BYTES for memory, nproc=N for processes',
        exitCode: 1,
      });
    }
    if (flags.restart === undefined && flags.ulimit.length === 0) {
      throw new UsageError("Cannot update: no change was named", {
        hint: "--restart POLICY, or --ulimit NAME=SOFT",
        exitCode: 1,
      });
    }
    const changes = {
      ...(flags.restart === undefined ? {} : { restart: flags.restart }),
      ulimits: flags.ulimit,
    };
    const { update } = await import("../../engine/update.ts");
    const engine = engineOf(context);
    return forEachWord(words, context, async (word) => update(engine, word, changes));
  },
});
