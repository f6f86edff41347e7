import { TsboxError } from "../../base/error.ts";
import { publishedPorts } from "../../engine/port.ts";
import { SELECTION_FLAGS, selectContainers } from "../select-containers.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "port",
  usage: "CONTAINER [PORT[/PROTOCOL]]",
  summary: "Show where ports of a container can be reached from outside.",
  flags: { latest: SELECTION_FLAGS.latest, all: SELECTION_FLAGS.all },
  words: { min: 0, max: 2 },
  examples: [
    ["tsbox port web", "every published port"],
    ["tsbox port web 80/tcp", "where this one is"],
  ],
  async act({ flags, words: [word, port] }, context) {
    const engine = engineOf(context);
    const words = await selectContainers(engine, word === undefined ? [] : [word], flags, { command: "port" });
    for (const one of words) {
      const record = engine.containers.find(one);
      const ports = publishedPorts(record);
      const wanted = port === undefined ? undefined : readPort(port);
      const shown = wanted === undefined ? ports : ports.filter(({ inside }) => inside === wanted);
      if (wanted !== undefined && shown.length === 0) {
        throw new TsboxError(`Cannot show port ${wanted} of container "${record.name}": it is not published`, {
          code: "NO_SUCH_PORT",
          hint: `a container with --network host shares the host's own ports`,
          exitCode: 1,
        });
      }
      for (const { inside, outside } of shown)
        context.stdout.write(wanted === undefined ? `${inside} -> ${outside}\n` : `${outside}\n`);
    }
  },
});

function readPort(text: string): string {
  if (!/^\d{1,5}(\/(tcp|udp|sctp))?$/.test(text)) {
    throw new UsageError(`Cannot read port "${text}": expected PORT or PORT/PROTOCOL`, { exitCode: 1 });
  }
  return text.includes("/") ? text : `${text}/tcp`;
}
