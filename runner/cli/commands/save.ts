import { resolve } from "node:path";
import { boolean, choice, string, value } from "../flags.ts";
import { parsePlatform } from "../options/platform.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "save",
  usage: "IMAGE…",
  summary: "Write images to an archive or a folder.",
  flags: {
    output: string({ short: "o", placeholder: "FILE", help: "where to (default: standard output)" }),
    format: choice(["docker-archive", "oci-archive", "oci-dir", "docker-dir"], {
      help: "form of the result (default docker-archive)",
    }),
    uncompressed: boolean({ help: "layers as plain tars, however they are stored" }),
    compress: boolean({ help: "docker-dir: plain layers by gzip" }),
    platform: value(parsePlatform, { placeholder: "OS/ARCH[/VARIANT]", help: "refuse images for another platform" }),
    multiImageArchive: boolean({ short: "m", help: "accepted: every word is an image, never a tag of the first" }),
    quiet: boolean({ short: "q", help: "accepted: nothing is printed anyway", hidden: true }),
  },
  words: { min: 1 },
  cleansUp: true,
  examples: [
    ["tsbox save -o images.tar busybox alpine", "two images in one archive"],
    ["tsbox save busybox | docker load", "to another engine"],
    ["tsbox save --format oci-dir -o layout busybox", "a folder that skopeo reads as oci:layout"],
  ],
  async act({ flags, words }, context) {
    const format = flags.format ?? "docker-archive";
    const refuse = (why: string, hint: string) => new UsageError(`Cannot save: ${why}`, { hint, exitCode: 1 });
    if (flags.output === undefined && (context.stdout.isTTY || format.endsWith("-dir"))) {
      const why = format.endsWith("-dir") ? "a folder needs a name" : "standard output is a terminal";
      throw refuse(why, "name a file or folder with -o");
    }
    if (flags.compress && format !== "docker-dir")
      throw refuse("--compress is for --format docker-dir", "leave it out");
    if (flags.compress && flags.uncompressed)
      throw refuse("--compress and --uncompressed exclude each other", "use one");
    if (flags.multiImageArchive && format !== "docker-archive") {
      throw refuse("-m is for --format docker-archive", "leave it out: every form but docker-dir takes several images");
    }
    const { save } = await import("../../engine/save.ts");
    await save(engineOf(context), words, {
      format,
      // Absent: standard output.
      ...(flags.output === undefined ? {} : { path: resolve(context.cwd, flags.output) }),
      ...(flags.platform === undefined ? {} : { platform: flags.platform }),
      uncompressed: flags.uncompressed,
      compress: flags.compress,
      signal: context.signal,
    });
  },
});
