import { resolve } from "node:path";
import { boolean, choice, list, number, string } from "../flags.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "commit",
  usage: "CONTAINER [IMAGE]",
  summary: "Make an image of what a container has changed, on top of the image it came from.",
  description:
    "The new layer has what the program wrote, not what was mounted: volumes, /etc/hosts, /etc/hostname and /etc/resolv.conf stay out. " +
    "The same tree gives the same layer; with --source-date-epoch the same image.",
  flags: {
    author: string({ short: "a", placeholder: "NAME", help: "author of the image" }),
    change: list({
      short: "c",
      placeholder: "INSTRUCTION",
      help: "set something of the image, as 'CMD [\"sh\"]' or 'ENV A=1'",
    }),
    format: choice(["oci", "docker"], { short: "f", help: "form of manifest and config (default oci)" }),
    iidfile: string({ placeholder: "FILE", help: "write the image's id there" }),
    message: string({ short: "m", placeholder: "TEXT", help: "comment in the image's history" }),
    pause: boolean({
      short: "p",
      default: true,
      help: "stop a running container's processes meanwhile, by SIGSTOP (default; --pause=false lets them write on)",
    }),
    quiet: boolean({ short: "q", help: "no progress (there is none: for scripts made for podman)" }),
    sourceDateEpoch: number({
      placeholder: "SECONDS",
      help: "stamp the image so, and no file later (seconds since 1970)",
    }),
    squash: boolean({ short: "s", help: "one layer of everything, that of the image included" }),
  },
  words: { min: 1, max: 2 },
  cleansUp: true,
  examples: [
    ["tsbox commit web web:patched", "an image with a name"],
    ["tsbox commit -c 'CMD [\"nginx\"]' -m 'with nginx' web web:2", "another command, and a comment"],
  ],
  async act({ flags, words: [container = "", reference] }, context) {
    const { commit } = await import("../../engine/commit.ts");
    const id = await commit(engineOf(context), container, {
      ...(reference === undefined ? {} : { reference }),
      ...(flags.author === undefined ? {} : { author: flags.author }),
      ...(flags.message === undefined ? {} : { message: flags.message }),
      ...(flags.sourceDateEpoch === undefined ? {} : { sourceDateEpoch: flags.sourceDateEpoch }),
      changes: flags.change,
      format: flags.format ?? "oci",
      pause: flags.pause,
      squash: flags.squash,
      signal: context.signal,
    });
    if (flags.iidfile !== undefined) {
      const { writeFileAtomic } = await import("../../base/atomic-write.ts");
      writeFileAtomic(resolve(context.cwd, flags.iidfile), id, 0o644);
    }
    context.stdout.write(`${id}\n`);
  },
});
