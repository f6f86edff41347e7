import type { DiskUsage } from "../../engine/disk-usage.ts";
import { boolean, string } from "../flags.ts";
import { listPrinter } from "../list-output.ts";
import { IMAGES_HEADINGS, imageRows } from "../rows-images.ts";
import { containerRow, PS_HEADINGS } from "../rows-ps.ts";
import { compileTemplate } from "../template.ts";
import { humanSize } from "../units.ts";
import { defineVerb, engineOf } from "../verb.ts";

const TABLE = "table {{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}";
const HEADINGS = {
  Type: "TYPE",
  TotalCount: "TOTAL",
  Total: "TOTAL",
  Active: "ACTIVE",
  Size: "SIZE",
  Reclaimable: "RECLAIMABLE",
};

const IMAGES =
  "table {{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.SharedSize}}\t{{.UniqueSize}}\t{{.Containers}}";
const CONTAINERS =
  "table {{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}";
const VOLUMES = "table {{.Name}}\t{{.Links}}\t{{.Size}}";

export default defineVerb({
  name: "system df",
  usage: "",
  summary:
    "Show how much room images, containers, volumes and the build cache take, and how much a prune would give back.",
  flags: {
    verbose: boolean({ short: "v", help: "each image, container and volume" }),
    format: string({ placeholder: "TEMPLATE", help: '"json", a Go template, or "table" and one' }),
  },
  words: { min: 0, max: 0 },
  examples: [
    ["tsbox system df", "the sums"],
    ["tsbox system df --format '{{.Type}} {{.Reclaimable}}'", "what a prune would give back"],
  ],
  async act({ flags }, context) {
    const { format } = flags;
    const print = listPrinter({
      format: flags.verbose ? undefined : format,
      quiet: false,
      table: TABLE,
      id: "",
      headings: HEADINGS,
    });
    const template =
      format === undefined || format === "json" || format === "table" ? undefined : compileTemplate(format);
    const { diskUsage } = await import("../../engine/disk-usage.ts");
    const usage = await diskUsage(engineOf(context));
    if (!flags.verbose) {
      context.stdout.write(print(totals(usage)));
      return;
    }
    const rows = details(usage, context.now());
    if (format === "json") context.stdout.write(`${JSON.stringify(rows)}\n`);
    else if (template) context.stdout.write(`${template(rows)}\n`);
    else context.stdout.write(tables(rows));
  },
});

function totals({ totals }: DiskUsage): object[] {
  const rows = [
    ["Images", totals.images],
    ["Containers", totals.containers],
    ["Local Volumes", totals.volumes],
    ["Build Cache", totals.buildCache],
  ] as const;
  return rows.map(([type, { count, active, size, reclaimable }]) => ({
    Type: type,
    TotalCount: String(count),
    Total: String(count),
    Active: String(active),
    Size: humanSize(size, 4),
    Reclaimable: `${humanSize(reclaimable, 4)}${size > 0 ? ` (${Math.floor((reclaimable / size) * 100)}%)` : ""}`,
    RawSize: size,
    RawReclaimable: reclaimable,
  }));
}

interface Details {
  Images: object[];
  Containers: object[];
  Volumes: object[];
}

function details({ images, containers, volumes }: DiskUsage, now: number): Details {
  return {
    Images: images.flatMap((image) =>
      imageRows({ ...image, labels: {} }, now, true).map((row) => ({
        ...row,
        SharedSize: humanSize(image.shared, 4),
        UniqueSize: humanSize(image.unique, 4),
      })),
    ),
    Containers: containers.map(({ container, size, volumes }) => ({
      ...containerRow(container, now, true),
      Size: humanSize(size, 4),
      LocalVolumes: String(volumes),
    })),
    Volumes: volumes.map(({ volume, size }) => ({
      Name: volume.name,
      Links: String(volume.users.length),
      Size: humanSize(size, 4),
    })),
  };
}

function tables(rows: Details): string {
  const table = (template: string, headings: Record<string, unknown>, lines: object[]) =>
    listPrinter({ format: undefined, quiet: false, table: template, id: "", headings })(lines);
  const volumeHeadings = { Name: "VOLUME NAME", Links: "LINKS", Size: "SIZE" };
  return [
    `Images space usage:\n\n${table(IMAGES, IMAGES_HEADINGS, rows.Images)}`,
    `Containers space usage:\n\n${table(CONTAINERS, PS_HEADINGS, rows.Containers)}`,
    `Local Volumes space usage:\n\n${table(VOLUMES, volumeHeadings, rows.Volumes)}`,
  ].join("\n");
}
