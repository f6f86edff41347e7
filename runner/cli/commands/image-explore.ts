import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import type { Exploration } from "../../engine/explore/explore.ts";
import { type Parsed, refuseTogether } from "../argv.ts";
import type { Context } from "../context.ts";
import { gateProblems, parseShare, parseWasteLimit } from "../explore/gate.ts";
import { boolean, choice, type Flags, string, value } from "../flags.ts";
import { UsageError } from "../usage-error.ts";
import { defineVerb, engineOf } from "../verb.ts";

const GATE = "For CI";
const FILE = "One file";

const FLAGS = {
  interactive: boolean({ short: "i", help: "browse layers, files and what changed in them with the arrow keys" }),
  format: choice(["text", "json", "html"], { help: "default text, or what the ending of --output says" }),
  output: string({
    short: "o",
    placeholder: "FILE",
    help: "write there, as report.html: one page that needs nothing else",
  }),
  layer: string({ placeholder: "LAYER", help: "all changes of one layer, by number or id" }),
  all: boolean({ short: "a", help: "leave nothing out" }),
  file: string({ placeholder: "PATH", group: FILE, help: "what changed in this file, as a unified diff" }),
  from: string({ placeholder: "LAYER", group: FILE, help: "as this layer left it (default: the layer before --to)" }),
  to: string({ placeholder: "LAYER", group: FILE, help: "as this layer left it (default: the last one)" }),
  maxWaste: value(parseWasteLimit, {
    placeholder: "SIZE|PERCENT",
    group: GATE,
    help: "exit with 1 when more is wasted, as 5% or 20m",
  }),
  minEfficiency: value(parseShare, { placeholder: "SHARE", group: GATE, help: "exit with 1 below, as 95% or 0.95" }),
} satisfies Flags;

export default defineVerb({
  name: "explore",
  usage: "IMAGE [IMAGE2]",
  summary: "Show what each layer of an image added, changed, removed and wasted, or how two images differ.",
  description:
    "Wasted are the bytes of files that a later layer overwrites or removes: they are stored and transferred, and no container sees them. " +
    "Efficiency is 1 - wasted / bytes of the files of all layers. A layer is named by its number (1 is the lowest, 0 the empty tree below it) " +
    "or by the start of its id. With two images: what changed from the first to the second.",
  flags: FLAGS,
  words: { min: 1, max: 2 },
  examples: [
    ["tsbox image explore app:2", "the report"],
    ["tsbox image explore -i app:2", "browse it"],
    ["tsbox image explore -o report.html app:2", "a page to keep or to send"],
    ["tsbox image explore --file /etc/passwd app:1 app:2", "what changed in a file from one image to the other"],
    ["tsbox image explore --max-waste 5% app:2", "exit status 1 when more is wasted"],
  ],
  async act(parsed, context) {
    const { flags, words } = parsed;
    const format = checkFlags(parsed, context);
    const { explore, findLayer } = await import("../../engine/explore/explore.ts");
    const engine = engineOf(context);
    const first = await explore(engine, words[0] as string, context.signal);
    const second = words[1] === undefined ? undefined : await explore(engine, words[1], context.signal);
    const layer = flags.layer === undefined ? undefined : findLayer(first, flags.layer);
    if (flags.interactive) {
      const { browse } = await import("../explore/browser.ts");
      await browse(engine, second ? [first, second] : [first], context);
      return 0;
    }
    const text = await rendered(parsed, context, format, second ? [first, second] : [first], layer);
    if (flags.output === undefined) context.stdout.write(text);
    else writeReport(resolve(context.cwd, flags.output), text);
    const problems = gateProblems(second ?? first, flags);
    for (const problem of problems) context.stderr.write(`tsbox: Cannot accept ${problem}\n`);
    return problems.length > 0 ? 1 : 0;
  },
});

type Format = "text" | "json" | "html";

function checkFlags(parsed: Parsed<typeof FLAGS>, context: Context): Format {
  const { flags, words } = parsed;
  for (const other of ["format", "output", "file", "layer"] as const) refuseTogether(parsed, "interactive", other);
  for (const other of ["layer", "all"] as const) refuseTogether(parsed, "file", other);
  if (flags.file === undefined && (flags.from !== undefined || flags.to !== undefined)) {
    throw new UsageError("Cannot use --from and --to without --file", {
      hint: "--layer shows all changes of one layer",
    });
  }
  if (words.length > 1 && flags.layer !== undefined) throw new UsageError("Cannot use --layer with two images");
  if (flags.interactive && !(context.stdinIsTerminal && context.stdout.isTTY)) {
    throw new UsageError("Cannot browse the image: standard input and output are no terminal", {
      hint: "leave out --interactive for a report",
      exitCode: 1,
    });
  }
  const ending = /\.(html?|json)$/i.exec(flags.output ?? "")?.[1]?.toLowerCase();
  const format = flags.format ?? (ending === undefined ? "text" : ending === "json" ? "json" : "html");
  if (format === "html" && flags.file !== undefined)
    throw new UsageError("Cannot write --file as a page: text or json");
  return format;
}

async function rendered(
  { flags }: Parsed<typeof FLAGS>,
  context: Context,
  format: Format,
  explorations: [Exploration, ...Exploration[]],
  layer: number | undefined,
): Promise<string> {
  const [first, second] = explorations;
  const engine = engineOf(context);
  const { compareReport, imageReport, reportDiff, safeJson } = await import("../explore/report.ts");
  const terminal = flags.output === undefined && context.stdout.isTTY === true;
  const options = {
    colors: terminal && !context.env.NO_COLOR,
    ...(terminal && context.stdout.columns !== undefined && { columns: context.stdout.columns }),
    all: flags.all,
    ...(layer !== undefined && { layer }),
  };
  const { compareText, diffText, imageText } = await import("../explore/text.ts");
  if (flags.file !== undefined) {
    const { diffFile } = await import("../../engine/explore/file-diff.ts");
    const found = await diffFile(engine, explorations, {
      path: flags.file,
      ...(flags.from !== undefined && { from: flags.from }),
      ...(flags.to !== undefined && { to: flags.to }),
    });
    const diffs = found.map(reportDiff);
    return format === "json" ? `${safeJson({ version: 1, diffs })}\n` : diffText(diffs, options);
  }
  if (format === "html") {
    const { page } = await import("../explore/page.ts");
    return page(engine, explorations);
  }
  if (second) {
    const report = compareReport(first, second);
    return format === "json" ? `${safeJson(report)}\n` : compareText(report, options);
  }
  const report = imageReport(first);
  if (format === "json") {
    return `${safeJson(layer === undefined ? report : { ...report, layers: report.layers.filter((l) => l.number === layer) })}\n`;
  }
  return imageText(report, options);
}

function writeReport(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (cause) {
    throw new UsageError(`Cannot write "${path}": ${(cause as Error).message}`, { cause, exitCode: 1 });
  }
}
