import { psColumns } from "../rows-top.ts";
import { formatTable } from "../table.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "top",
  usage: "CONTAINER [PS-OPTION…|DESCRIPTOR…]",
  summary: "List the processes of a running container.",
  description:
    "As docker: options of ps, as -ef (the default), aux or -o pid,comm; pids are the host's. As podman: descriptors, as user, pid, ppid, pcpu, etime, tty, " +
    "time, args; pid is the container's then, hpid the host's.",
  flags: {},
  words: { min: 1 },
  startsProgram: true,
  examples: [
    ["tsbox top web", "who runs what since when"],
    ["tsbox top web -o pid,rss,args", "columns of your choice"],
  ],
  async act({ words: [word = "", ...options] }, context) {
    const columns = psColumns(options);
    const { top } = await import("../../engine/top.ts");
    const rows = top(engineOf(context), word);
    context.stdout.write(
      formatTable([
        columns.map(({ heading }) => heading),
        ...rows.map((row) => columns.map(({ show }) => show(row, context.now()))),
      ]),
    );
  },
});
