import type { CopyEnd } from "../../engine/cp.ts";
import { boolean } from "../flags.ts";
import { humanSize } from "../units.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "cp",
  usage: "CONTAINER:SOURCE DESTINATION|-   or   SOURCE|- CONTAINER:DESTINATION",
  summary: "Copy files and folders between a container, running or not, and the host.",
  description:
    "As cp -r: into a folder that is there, else under the destination's name; a source that ends with /. stands for what is in it. " +
    "Paths of a container begin at its root. With - a tar archive is read from standard input, or written to standard output. What is " +
    "copied belongs to you on the host, and to who you are in the container: root, or yourself with keep-id.",
  flags: {
    archive: boolean({ short: "a", help: "keep owners as they are" }),
    followLink: boolean({ short: "L", help: "copy what a link at SOURCE is about, not the link" }),
    overwrite: boolean({ help: "let a folder replace something else, and the reverse" }),
    quiet: boolean({ short: "q", help: "say nothing of what was copied" }),
  },
  words: { min: 2, max: 2 },
  examples: [
    ["tsbox cp web:/var/log/. ./logs", "a folder's content"],
    ["tsbox cp site.conf web:/etc/site.conf", "a file"],
    ["tsbox cp web:/etc - | tar -t", "as an archive"],
  ],
  async act({ flags, words: [source = "", destination = ""] }, context) {
    const [from, to] = [readEnd(source), readEnd(destination)];
    if (from === "archive" && context.stdinIsTerminal) {
      throw new UsageError("Cannot read the archive from a terminal", { hint: "use a pipe", exitCode: 1 });
    }
    if (to === "archive" && context.stdout.isTTY) {
      throw new UsageError("Cannot write the archive to a terminal", { hint: "use a pipe", exitCode: 1 });
    }
    const { copy } = await import("../../engine/cp.ts");
    const { archive, followLink, overwrite } = flags;
    const copied = await copy(
      engineOf(context),
      from,
      to,
      { archive, followLink, overwrite },
      {
        input: process.stdin,
        output: process.stdout,
      },
    );
    // docker: only for somebody who looks
    if (flags.quiet || !context.stderr.isTTY || to === "archive") return;
    context.stderr.write(`Successfully copied ${humanSize(copied.bytes)} to ${destination}\n`);
  },
});

/** docker's rule: what begins with "/" or "." is the host's, else the first colon ends a container's name. */
function readEnd(word: string): CopyEnd {
  if (word === "-") return "archive";
  const colon = word.indexOf(":");
  if (word === "" || (colon >= 0 && word.length === colon + 1)) {
    throw new UsageError(`Cannot copy: "${word}" has no path`, { exitCode: 1 });
  }
  if (colon < 1 || word.startsWith("/") || word.startsWith(".")) return { path: word };
  return { container: word.slice(0, colon), path: word.slice(colon + 1) };
}
