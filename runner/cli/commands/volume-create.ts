import { boolean, list, string } from "../flags.ts";
import { parseLabels } from "../options/labels.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "volume create",
  usage: "[VOLUME]",
  summary: "Make a volume: a folder of the store that containers can share and that outlives them.",
  flags: {
    driver: string({ short: "d", placeholder: "local", help: "local is the only one" }),
    label: list({ short: "l", placeholder: "KEY[=VALUE]", help: "label the volume" }),
    opt: list({
      short: "o",
      placeholder: "KEY=VALUE",
      help: "type=tmpfs and o=size=…: in memory; o=bind and device=DIR: a folder of the host",
    }),
    ignore: boolean({ help: "accepted; a volume that exists is no failure", hidden: true }),
    name: string({ placeholder: "NAME", help: "older spelling of the word", hidden: true }),
  },
  words: { min: 0, max: 1 },
  sweeps: true,
  examples: [
    ["tsbox volume create data", "a volume named data"],
    ["tsbox volume create -o type=tmpfs -o device=tmpfs -o o=size=64m scratch", "each container gets 64 MiB in memory"],
  ],
  async act({ flags, words: [word] }, context) {
    const driver = flags.driver ?? "local";
    if (driver !== "local") {
      throw new UsageError(`Cannot create a volume of driver "${driver}": local is the only one`, { exitCode: 1 });
    }
    const name = word ?? flags.name;
    const { createVolume } = await import("../../engine/volumes.ts");
    const created = await createVolume(engineOf(context), {
      ...(name === undefined ? {} : { name }),
      labels: parseLabels(flags.label),
      options: Object.fromEntries(flags.opt.map(splitOption)),
    });
    context.stdout.write(`${created}\n`);
  },
});

function splitOption(word: string): [string, string] {
  const equals = word.indexOf("=");
  if (equals < 1) throw new UsageError(`Cannot read --opt "${word}": expected KEY=VALUE`);
  return [word.slice(0, equals), word.slice(equals + 1)];
}
