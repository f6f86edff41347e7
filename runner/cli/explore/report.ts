/** What the explorer found, in the shape that is printed. */

import { biggestFiles, compareImages, type Exploration } from "../../engine/explore/explore.ts";
import type { FileDiff, Side } from "../../engine/explore/file-diff.ts";
import { type BytePath, pathBase64, pathText } from "../../engine/explore/names.ts";
import type { Change } from "../../engine/explore/stack.ts";
import type {
  CompareReport,
  ImageReport,
  ReportChange,
  ReportDiff,
  ReportImage,
  ReportPath,
  ReportSide,
} from "./shape.ts";

const BIGGEST = 50;

export function imageReport(exploration: Exploration): ImageReport {
  const { stack, layers, duplicates, efficiency } = exploration;
  return {
    version: 1,
    image: reportImage(exploration),
    layers: layers.map(({ number, diffID, blob, instruction, created, bytes, changes }) => {
      const count = (kind: Change["change"]) => changes.filter(({ change }) => change === kind).length;
      return {
        number,
        id: diffID,
        digest: blob.digest,
        instruction,
        created,
        size: bytes,
        compressed: blob.size,
        added: count("added"),
        changed: count("changed"),
        removed: count("removed"),
        changes: changes.map(reportChange),
      };
    }),
    size: stack.stored,
    wasted: stack.wasted,
    efficiency,
    waste: stack.waste.map(({ path, bytes, versions }) => ({
      ...reportPath(path),
      bytes,
      versions: versions.map(({ layer, by, ...rest }) => ({ ...rest, layer: layer + 1, by: by + 1 })),
    })),
    biggest: biggestFiles(stack, BIGGEST).map(({ path, size, layer }) => ({
      ...reportPath(path),
      size,
      layer: layer + 1,
    })),
    duplicates: duplicates.map(({ digest, size, extra, places }) => ({
      digest: `sha256:${digest}`,
      size,
      extra,
      places: places.map(({ path, layer }) => ({ ...reportPath(path), layer: layer + 1 })),
    })),
  };
}

export function compareReport(a: Exploration, b: Exploration): CompareReport {
  const { changes, shared } = compareImages(a, b);
  return {
    version: 1,
    images: [reportImage(a), reportImage(b)],
    sharedLayers: shared,
    changes: changes.map(reportChange),
  };
}

export function reportDiff({ path, from, to, binary, text }: FileDiff): ReportDiff {
  return { ...reportPath(path), from: reportSide(from), to: reportSide(to), binary, text };
}

function reportImage({ name, image, platform }: Exploration): ReportImage {
  return { name, id: image.id, digest: image.manifestDigest, platform };
}

function reportPath(path: BytePath): ReportPath {
  const bytes = pathBase64(path);
  return { path: pathText(path), ...(bytes !== undefined && { pathBase64: bytes }) };
}

function reportSide({ exploration, layer, file }: Side): ReportSide {
  return {
    image: exploration.name,
    layer,
    ...(file && {
      kind: file.kind,
      size: file.size,
      mode: octal(file.mode),
      ...(file.digest !== "" && { digest: `sha256:${file.digest}` }),
    }),
  };
}

function reportChange({ path, change, before, after, aspects }: Change): ReportChange {
  const file = (after ?? before) as NonNullable<Change["after"]>;
  return {
    ...reportPath(path),
    change,
    kind: file.kind,
    size: file.size,
    ...(change === "changed" && before && { before: before.size, aspects }),
    mode: octal(file.mode),
    uid: file.uid,
    gid: file.gid,
    ...(file.link !== "" && { link: pathText(file.link) }),
    ...(file.digest !== "" && { digest: `sha256:${file.digest}` }),
  };
}

function octal(mode: number): string {
  return mode.toString(8).padStart(4, "0");
}

/** JSON that a terminal shows as it is: what JSON may leave in strings and a terminal would obey is escaped too. */
export function safeJson(value: unknown, indent?: number): string {
  return JSON.stringify(value, undefined, indent).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
