import { resolve } from "node:path";
import type { CacheTarget } from "../../build/cache/places.ts";
import type { BuildOptions } from "../../build/options.ts";
import { changed } from "../context.ts";
import { boolean, choice, list, number, string, value } from "../flags.ts";
import { LOCK_FLAGS, readLockOptions } from "../lock-flags.ts";
import {
  parseAddHost,
  parseBuildArgs,
  parseContext,
  parseNamedContext,
  parseOutput,
  parseSecret,
  parseSsh,
} from "../options/build.ts";
import { parseCacheSource, parseCacheTarget } from "../options/build-cache.ts";
import { parseLabels } from "../options/labels.ts";
import { parsePlatform } from "../options/platform.ts";
import { readConnection, TRANSFER_FLAGS } from "../registry-flags.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "build",
  usage: "[CONTEXT]",
  summary: "Make an image of a Dockerfile.",
  description:
    "CONTEXT is the folder that COPY and ADD take files from (default: the current one), - for a tar or a Dockerfile on standard input, an http address, or a git repository (URL#REF:FOLDER).",
  flags: {
    tag: list({ short: "t", placeholder: "NAME", help: "name of the image; repeat for more" }),
    file: string({
      short: "f",
      placeholder: "FILE",
      help: "the Dockerfile (default: Dockerfile of the context; - for standard input)",
    }),
    target: string({ placeholder: "STAGE", help: "build this stage, not the last" }),
    buildArg: list({ placeholder: "NAME[=VALUE]", help: "value of an ARG; a name alone takes the environment's" }),
    label: list({ placeholder: "NAME=VALUE", help: "label of the image" }),
    platform: value(parsePlatform, {
      placeholder: "OS/ARCH[/VARIANT]",
      help: "platform of the image (default: this machine's)",
    }),
    pull: boolean({ help: "ask the registries for newer base images" }),
    ...LOCK_FLAGS,
    ...TRANSFER_FLAGS,
    noCache: boolean({ group: "Cache", help: "run every step anew" }),
    noCacheFilter: list({ group: "Cache", placeholder: "STAGE", help: "run the steps of this stage anew" }),
    cacheFrom: list({
      group: "Cache",
      placeholder: "PLACE",
      help: "look for steps there, too: NAME[:TAG] or type=registry,ref=NAME[:TAG], type=local,src=DIR",
    }),
    cacheTo: list({
      group: "Cache",
      placeholder: "PLACE",
      help: "keep steps there: type=registry,ref=NAME[:TAG], type=local,dest=DIR (both mode=min|max), type=inline",
    }),
    explain: boolean({ group: "Cache", help: "say for each step why it was not in the cache" }),
    network: choice(["none", "host", "default"], {
      group: "Steps",
      help: "network of RUN steps (default none: loopback only)",
    }),
    addHost: list(
      { group: "Steps", placeholder: "NAME:ADDRESS", help: "one more line in /etc/hosts of RUN steps" },
      parseAddHost,
    ),
    secret: list({
      group: "Steps",
      placeholder: "id=NAME,src=FILE|env=VAR",
      help: "what RUN --mount=type=secret shows",
    }),
    ssh: list({ group: "Steps", placeholder: "ID[=SOCKET]", help: "key agent for RUN --mount=type=ssh" }),
    buildContext: list({
      group: "Steps",
      placeholder: "NAME=PLACE",
      help: "what --from=NAME and FROM NAME mean: a folder, an address of a tar or repository, docker-image://IMAGE, oci-layout://DIR[:TAG][@DIGEST]",
    }),
    output: list({
      short: "o",
      group: "Result",
      placeholder: "type=TYPE,dest=PLACE",
      help: "write files instead of keeping an image: local, tar, oci or docker",
    }),
    squash: boolean({ group: "Result", help: "one layer of all that the build adds" }),
    sourceDateEpoch: number({
      group: "Result",
      min: 0,
      placeholder: "SECONDS",
      help: "no time in the image is later (default: $SOURCE_DATE_EPOCH)",
    }),
    iidfile: string({ group: "Result", placeholder: "FILE", help: "write the image's id there" }),
    metadataFile: string({ group: "Result", placeholder: "FILE", help: "write digests and names there, as JSON" }),
    progress: choice(["auto", "tty", "plain", "json"], {
      help: "moving lines, lines of all that is said, or JSON lines (default auto: moving on a terminal)",
    }),
    quiet: boolean({ short: "q", help: "show the image's id only" }),
    // docker's and podman's: steps never leave containers here
    rm: boolean({ hidden: true, default: true, help: "" }),
    forceRm: boolean({ hidden: true, help: "" }),
    layers: boolean({ hidden: true, default: true, help: "" }),
  },
  words: { min: 0, max: 1 },
  cleansUp: true,
  examples: [
    ["tsbox build -t app .", "from ./Dockerfile"],
    ["tsbox build -t app --network host --explain .", "with the host's network, saying why steps run"],
    ["tsbox build -o out --target binary .", "the files of a stage, into a folder"],
  ],
  async act(parsed, context) {
    const {
      flags,
      words: [word = "."],
    } = parsed;
    const { cwd, env, signal } = context;
    const place = parseContext(word, cwd);
    if ((place.kind === "stdin" || flags.file === "-") && context.stdinIsTerminal) {
      throw new UsageError("Cannot build from standard input: it is a terminal", { exitCode: 1 });
    }
    const epoch =
      flags.sourceDateEpoch ?? (/^\d+$/.test(env.SOURCE_DATE_EPOCH ?? "") ? Number(env.SOURCE_DATE_EPOCH) : undefined);
    const outputs = flags.output.map((text) => parseOutput(text, cwd));
    if (context.stdout.isTTY && outputs.some((output) => output.dest === undefined)) {
      throw new UsageError("Cannot write an archive to standard output: it is a terminal", {
        hint: "add dest=FILE",
        exitCode: 1,
      });
    }
    const buildArgs = parseBuildArgs(flags.buildArg, env);
    const options: BuildOptions = {
      context: place,
      tags: flags.tag,
      buildArgs,
      labels: parseLabels(flags.label),
      noCache: flags.noCache || (flags.noCacheFilter.length > 0 ? flags.noCacheFilter : false),
      cacheFrom: flags.cacheFrom.map((text) => parseCacheSource(text, cwd)),
      cacheTo: cacheTargets(flags.cacheTo, buildArgs, cwd),
      pull: flags.pull,
      connection: readConnection(parsed, cwd),
      network: flags.network === "host" ? "host" : "none",
      addHosts: flags.addHost,
      contexts: new Map(flags.buildContext.map((text) => parseNamedContext(text, cwd))),
      secrets: flags.secret.map((text) => parseSecret(text, cwd, env)),
      ssh: new Map(flags.ssh.map((text) => parseSsh(text, cwd, env))),
      outputs,
      squash: flags.squash,
      explain: flags.explain,
      cwd,
      env,
      signal,
      ...(flags.file !== undefined && { file: flags.file === "-" ? "-" : resolve(cwd, flags.file) }),
      ...(flags.target !== undefined && { target: flags.target }),
      ...(flags.platform !== undefined && { platform: flags.platform }),
      ...(epoch !== undefined && { sourceDateEpoch: epoch }),
      ...(flags.iidfile !== undefined && { iidfile: resolve(cwd, flags.iidfile) }),
      ...(flags.metadataFile !== undefined && { metadataFile: resolve(cwd, flags.metadataFile) }),
    };
    const { build, writeResultFiles } = await import("../../build/build.ts");
    const { buildPrinter } = await import("../build-progress.ts");
    const show = await buildPrinter(context, flags.quiet ? "quiet" : (flags.progress ?? "auto"));
    const engine = engineOf(changed(context, { stderr: show.stderr }), readLockOptions(parsed));
    const result = await build(engine, options, show.tell, process.stdin).finally(show.end);
    writeResultFiles(options, result);
    if (!flags.quiet && flags.progress !== "json")
      for (const name of result.names) context.stderr.write(`named ${name}\n`);
    if (result.imageID && !outputs.some((output) => output.dest === undefined))
      context.stdout.write(`${result.imageID}\n`);
  },
});

/** Docker's older way to ask for the steps in the image is an argument of the build. */
function cacheTargets(words: string[], buildArgs: Map<string, string>, cwd: string): CacheTarget[] {
  const targets = words.map((text) => parseCacheTarget(text, cwd));
  const asked = buildArgs.get("BUILDKIT_INLINE_CACHE") === "1" && !targets.some(({ type }) => type === "inline");
  return asked ? [...targets, { type: "inline" }] : targets;
}
