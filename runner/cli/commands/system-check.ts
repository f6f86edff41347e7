import { boolean, choice } from "../flags.ts";
import { readConnection, TRANSFER_FLAGS } from "../registry-flags.ts";
import { humanSize } from "../units.ts";
import { defineVerb, engineOf } from "../verb.ts";

export default defineVerb({
  name: "system check",
  usage: "",
  summary:
    "Verify the store: the digest of every blob, every file of unpacked layers, and that names, containers and volumes are whole.",
  description:
    "Each unpacked layer is compared with what its blob unpacks to, which takes as long as unpacking it, and room for the largest layer. " +
    "The exit status is 1 when something is wrong and was not repaired.",
  flags: {
    quick: boolean({ short: "q", help: "sizes and names only: no content is read" }),
    repair: boolean({
      short: "r",
      help: "fetch damaged blobs again by digest, unpack damaged layers again, make a damaged index anew",
    }),
    format: choice(["json"], { help: "one JSON object" }),
    ...TRANSFER_FLAGS,
  },
  words: { min: 0, max: 0 },
  cleansUp: true,
  examples: [
    ["tsbox system check", "after a crash, or before trusting a cache"],
    ["tsbox system check --repair", "set right what can be"],
  ],
  async act(parsed, context) {
    const { flags } = parsed;
    const { checkStore, repairStore } = await import("../../engine/check.ts");
    const engine = engineOf(context);
    const options = { quick: flags.quick, connection: readConnection(parsed, context.cwd), signal: context.signal };
    const { checked, repaired } = flags.repair
      ? await repairStore(engine, options)
      : { checked: await checkStore(engine, options), repaired: [] };
    const { problems, orphans, ...counts } = checked;
    if (flags.format === "json") {
      const told = problems.map(({ subject, state, repair }) => ({ subject, state, repairable: repair !== undefined }));
      context.stdout.write(`${JSON.stringify({ ...counts, orphans, problems: told, repaired })}\n`);
      return problems.length > 0 ? 1 : 0;
    }
    for (const { subject, how } of repaired) context.stdout.write(`repaired: ${subject}: ${how}\n`);
    for (const { subject, state } of problems) context.stdout.write(`wrong: ${subject}: ${state}\n`);
    const { images, blobs, bytes, layers, containers, volumes } = counts;
    context.stdout.write(
      `${flags.quick ? "looked at" : "verified"} ${blobs} blobs (${humanSize(bytes, 4)}) of ${images} images, ${layers} unpacked layers, ${containers} containers, ${volumes} volumes\n`,
    );
    if (orphans.count > 0) {
      context.stdout.write(
        `${orphans.count} blobs or layers belong to nothing (${humanSize(orphans.bytes, 4)}): "tsbox system prune" removes them\n`,
      );
    }
    if (problems.length === 0) {
      context.stdout.write(repaired.length > 0 ? "all is well again\n" : "all is well\n");
      return 0;
    }
    const hint =
      problems.some(({ repair }) => repair) && !flags.repair
        ? '; "tsbox system check --repair" sets right what it can'
        : "";
    context.stdout.write(`${problems.length} ${problems.length === 1 ? "thing is" : "things are"} wrong${hint}\n`);
    return 1;
  },
});
