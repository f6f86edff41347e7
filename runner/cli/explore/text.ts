/** The report for a terminal. */

import { visible } from "../../base/error.ts";
import { ellipsis, formatTable, shortId } from "../table.ts";
import { humanSize } from "../units.ts";
import type { CompareReport, ImageReport, ReportChange, ReportDiff } from "./shape.ts";

export interface TextOptions {
  colors: boolean;
  /** Of the terminal; absent: nothing is cut but long instructions. */
  columns?: number;
  /** Every change, every wasted file. */
  all: boolean;
  /** Only the changes of this layer, all of them. */
  layer?: number;
}

const SHOWN = 15;
const INSTRUCTION = 60;

type Paint = (style: keyof typeof STYLES, text: string) => string;
const STYLES = { bold: "1", dim: "2", added: "32", changed: "33", removed: "31", place: "36" } as const;

export function painter(colors: boolean): Paint {
  return (style, text) => (colors ? `\x1b[${STYLES[style]}m${text}\x1b[0m` : text);
}

export function imageText(report: ImageReport, options: TextOptions): string {
  const paint = painter(options.colors);
  const { image, layers } = report;
  if (options.layer !== undefined) {
    const layer = layers[options.layer - 1];
    return layer ? `${layerHeading(layer, paint)}${changeLines(layer.changes, paint)}` : "";
  }
  const limit = options.all ? Number.POSITIVE_INFINITY : SHOWN;
  const parts = [
    `${paint("bold", visible(image.name))} ${image.platform} ${shortId(image.id)}\n`,
    layerTable(report, options.columns),
    summary(report, paint),
    wasteTable(report, paint, limit),
    bigTable(report, paint, limit),
    duplicateTable(report, paint, limit),
    // the lowest layer adds everything there is: its files are asked for
    ...layers.slice(options.all ? 0 : 1).map((layer) => {
      if (layer.changes.length === 0) return "";
      return `\n${layerHeading(layer, paint)}${changeLines(important(layer.changes, limit), paint)}${more(layer.changes.length - limit, `--layer ${layer.number}`)}`;
    }),
  ];
  return parts.join("");
}

function layerTable({ layers }: ImageReport, columns: number | undefined): string {
  const cells = layers.map((layer) => [
    String(layer.number),
    shortId(layer.id),
    humanSize(layer.size),
    `+${layer.added} ~${layer.changed} -${layer.removed}`,
  ]);
  const room = columns === undefined ? INSTRUCTION : Math.max(10, columns - 54);
  return formatTable([
    ["#", "LAYER", "SIZE", "FILES", "INSTRUCTION"],
    ...cells.map((row, i) => [...row, ellipsis(oneLine(layers[i]?.instruction ?? ""), room)]),
  ]);
}

function oneLine(text: string): string {
  return visible(text.replace(/\s+/g, " "));
}

function summary({ size, wasted, efficiency }: ImageReport, paint: Paint): string {
  const share = percent(size === 0 ? 0 : wasted / size);
  return (
    `\n${paint("bold", `Wasted: ${humanSize(wasted)} of ${humanSize(size)} (${share}), efficiency ${percent(efficiency)}`)}\n` +
    `${paint("dim", "wasted = bytes of files that a later layer overwrites or removes; efficiency = 1 - wasted / bytes of all files of all layers")}\n`
  );
}

export function percent(share: number): string {
  return `${Number((share * 100).toFixed(2))}%`;
}

function wasteTable({ waste }: ImageReport, paint: Paint, limit: number): string {
  if (waste.length === 0) return "";
  const rows = waste.slice(0, limit).map(({ path, bytes, versions }) => {
    const story = versions.map(({ layer, by, how }) => `layer ${layer}, ${how} by ${by}`).join("; ");
    return [`  ${humanSize(bytes)}`, `/${path}  ${paint("dim", `(${story})`)}`];
  });
  return `\n${paint("bold", "Wasted files")}\n${formatTable(rows)}${more(waste.length - limit, "--all")}`;
}

function bigTable({ biggest }: ImageReport, paint: Paint, limit: number): string {
  if (biggest.length === 0) return "";
  const shown = Math.min(limit, 10);
  const rows = biggest.slice(0, limit === SHOWN ? shown : limit).map(({ path, size, layer }) => {
    return [`  ${humanSize(size)}`, `/${path}  ${paint("dim", `(layer ${layer})`)}`];
  });
  return `\n${paint("bold", "Biggest files")}\n${formatTable(rows)}`;
}

function duplicateTable({ duplicates }: ImageReport, paint: Paint, limit: number): string {
  if (duplicates.length === 0) return "";
  const shown = limit === SHOWN ? 10 : limit;
  const rows = duplicates.slice(0, shown).map(({ extra, places }) => {
    const named = places.slice(0, limit === SHOWN ? 3 : limit).map(({ path, layer }) => `/${path} (layer ${layer})`);
    const left = places.length - named.length;
    return [`  ${humanSize(extra)}`, `${named.join(" = ")}${left > 0 ? ` and ${left} more` : ""}`];
  });
  return `\n${paint("bold", "The same content more than once")}\n${formatTable(rows)}${more(duplicates.length - shown, "--all")}`;
}

function layerHeading(layer: ImageReport["layers"][number], paint: Paint): string {
  const said = layer.instruction === "" ? "" : ` ${paint("dim", ellipsis(oneLine(layer.instruction), 80))}`;
  return `${paint("bold", `Layer ${layer.number}`)} ${shortId(layer.id)}${said}\n`;
}

/** The largest where not all are shown, in the order of their paths. */
function important(changes: ReportChange[], limit: number): ReportChange[] {
  if (changes.length <= limit) return changes;
  const largest = new Set([...changes].sort((a, b) => weight(b) - weight(a)).slice(0, limit));
  return changes.filter((change) => largest.has(change));
}

function weight({ size, kind }: ReportChange): number {
  return kind === "directory" ? -1 : size;
}

const MARKS = { added: "A", changed: "C", removed: "D" } as const;

function changeLines(changes: readonly ReportChange[], paint: Paint): string {
  return changes
    .map((change) => {
      const { kind, size, before, aspects, link, path } = change;
      const slash = kind === "directory" ? "/" : "";
      const target = link !== undefined && kind === "symlink" ? ` -> ${link}` : "";
      const bytes = kind === "file" ? humanSize(size) : "-";
      const how =
        change.change !== "changed"
          ? ""
          : aspects?.length === 0
            ? " (identical copy)"
            : ` (${aspects?.join(", ")}${before !== undefined && before !== size ? `, was ${humanSize(before)}` : ""})`;
      return `  ${paint(change.change, `${MARKS[change.change]} ${bytes.padStart(7)} /${path}${slash}${target}`)}${paint("dim", how)}\n`;
    })
    .join("");
}

function more(count: number, flag: string): string {
  return count > 0 && Number.isFinite(count) ? `  … and ${count} more (${flag} shows them)\n` : "";
}

export function compareText(report: CompareReport, options: TextOptions): string {
  const paint = painter(options.colors);
  const [a, b] = report.images;
  const count = (kind: ReportChange["change"]) => report.changes.filter(({ change }) => change === kind).length;
  const limit = options.all ? Number.POSITIVE_INFINITY : 200;
  return (
    `${paint("bold", `${visible(a.name)} → ${visible(b.name)}`)}\n` +
    `${report.sharedLayers} shared layer${report.sharedLayers === 1 ? "" : "s"}; ` +
    `${count("added")} added, ${count("changed")} changed, ${count("removed")} removed\n` +
    `${changeLines(important(report.changes, limit), paint)}${more(report.changes.length - limit, "--all")}`
  );
}

export function diffText(diffs: readonly ReportDiff[], options: Pick<TextOptions, "colors">): string {
  const paint = painter(options.colors);
  return diffs
    .map((diff) => {
      const { path, from, to, text, binary } = diff;
      const place =
        from.image === to.image ? `layer ${from.layer} → ${to.layer}` : `${visible(from.image)} → ${visible(to.image)}`;
      const head = paint("bold", `/${path}, ${place}${binary ? ", no text" : ""}\n`);
      if (text === "")
        return `${head}the content is the same${from.mode === to.mode ? "" : `, the mode is ${to.mode}, was ${from.mode}`}\n`;
      return (
        head +
        text
          .split("\n")
          .map((line) => paintDiff(line, paint))
          .join("\n")
      );
    })
    .join("\n");
}

/** A line of a unified diff. */
export function paintDiff(line: string, paint: Paint): string {
  if (line === "") return line;
  if (/^(---|\+\+\+) /.test(line)) return paint("bold", line);
  if (line.startsWith("@@")) return paint("place", line);
  if (line.startsWith("+")) return paint("added", line);
  if (line.startsWith("-")) return paint("removed", line);
  return line;
}
