import { TsboxError, visible } from "../base/error.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { Identity } from "../plan/idmap.ts";
import { changesBelow } from "../sys/native.ts";
import { containerTree } from "./container-tree.ts";
import type { Engine } from "./engine.ts";

/** `A`dded, `C`hanged, `D`eleted. */
export interface Change {
  kind: "A" | "C" | "D";
  /** From "/" on. */
  path: string;
}

export interface Changes {
  list(): Change[];
  /** A line each, for people. */
  text(): string | Uint8Array;
}

/** What a word on the command line names: layers, topmost first, and what is between the first and the second. */
export interface Layers {
  layers: string[];
  init: string;
  identity: Identity;
  /** The first is a copy of the others, with changes. */
  whole: boolean;
  /** The layers may have other marks than overlay's. */
  byRecords: boolean;
}

/**
 * What a container changed in its image, or an image's last layer in those below; with a second word, what has to change in that one to become the
 * first. Sorted by path.
 */
export async function diff(engine: Engine, word: string, than?: string, signal?: AbortSignal): Promise<Changes> {
  const changed = await layersOf(engine, word);
  if (than !== undefined) {
    const { compareTrees } = await import("./compare-trees.ts");
    const list = await compareTrees(await layersOf(engine, than), changed, signal);
    return { list: () => list, text: () => textOf(list) };
  }
  if (changed.byRecords) {
    const { changesByRecords } = await import("./compare-trees.ts");
    const list = await changesByRecords(changed, signal);
    return { list: () => list, text: () => textOf(list) };
  }
  const [upper = "", ...lowers] = changed.layers;
  // most files can be seen without a user namespace, which takes longer than all the rest
  const told =
    changesBelow(upper, changed.init, lowers) ??
    (await (await import("./changes-inside.ts")).changesInside(changed, signal));
  const list = () => parseChanges(told);
  // with nothing escaped the lines are already what is to be shown
  return { list, text: () => (told.includes("\\") ? textOf(list()) : told) };
}

function textOf(changes: Change[]): string {
  return changes.map(({ kind, path }) => `${kind} ${visible(path)}\n`).join("");
}

/** The lines of the helper's `changes`. */
export function parseChanges(lines: Buffer): Change[] {
  return lines
    .toString("latin1")
    .split("\n")
    .slice(0, -1)
    .map((line) => ({ kind: line.charAt(0) as Change["kind"], path: unescaped(line.slice(2)) }));
}

function unescaped(path: string): string {
  if (!path.includes("\\")) return path;
  const bytes = path.replace(/\\x(..)/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(bytes, "latin1").toString();
}

async function layersOf(engine: Engine, word: string): Promise<Layers> {
  const record = findContainer(engine, word);
  if (record) {
    const { upper, lowers, init, identity, whole } = containerTree(engine, record, "compare");
    return { layers: [upper, ...lowers], init, identity, whole, byRecords: record.storage !== undefined };
  }
  const { findImage, noSuchImage } = await import("./stored-image.ts");
  if (!findImage(engine, word)) throw noSuchImage(word);
  const identity = engine.identity();
  const { resolveImage } = await import("./resolve-image.ts");
  const { lowers } = await resolveImage(engine, word, { policy: "never", identity });
  return { layers: lowers, init: "", identity, whole: false, byRecords: (await engine.storage()).driver !== "overlay" };
}

function findContainer(engine: Engine, word: string): ContainerRecord | undefined {
  try {
    return engine.containers.find(word);
  } catch (error) {
    if (error instanceof TsboxError && error.code === "NO_SUCH_CONTAINER") return undefined;
    throw error;
  }
}
