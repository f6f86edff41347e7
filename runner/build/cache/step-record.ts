import { isDigest } from "../../oci/digest.ts";
import { isLayerType } from "../../oci/media-types.ts";
import type { Descriptor } from "../../oci/types.ts";
import type { BuiltLayer, StepResult } from "../../store/build-cache.ts";

/** Media type of the list of steps that a registry keeps: the config of a manifest whose layers are the steps'. */
export const STEPS_TYPE = "application/vnd.tsbox.build.steps.v1+json";

/** The same list in the manifest of an image (`--cache-to type=inline`). */
export const STEPS_ANNOTATION = "dev.tsbox.build.steps";

const VERSION = 1;
const MAX_STEPS = 10_000;
/** Names of steps are digests; they become names of files. */
const KEY = /^[0-9a-f]{64}$/;
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z$/;

export function isStepKey(text: string): boolean {
  return KEY.test(text);
}

/** A step from outside; undefined: it has not the form of one. */
export function readStepRecord(value: unknown): StepResult | undefined {
  if (!isObject(value)) return undefined;
  const { created, layer } = value;
  if (typeof created !== "string" || !TIME.test(created) || Number.isNaN(Date.parse(created))) return undefined;
  if (layer === undefined) return { created };
  if (!isObject(layer)) return undefined;
  const { diffID, digest, chainID, size, tarSize, mediaType } = layer;
  const sound =
    [diffID, digest, chainID].every(isDigest) &&
    [size, tarSize].every((one) => Number.isSafeInteger(one) && (one as number) >= 0) &&
    typeof mediaType === "string" &&
    isLayerType(mediaType);
  // the fields alone: what else stands there must not get into the store
  return sound ? { created, layer: { diffID, digest, chainID, size, tarSize, mediaType } as BuiltLayer } : undefined;
}

export function formatSteps(steps: ReadonlyMap<string, StepResult>): string {
  return JSON.stringify({ version: VERSION, steps: Object.fromEntries(steps) });
}

/** A list of steps from outside. Those without a layer in the manifest that it came with are left out; undefined: it is no such list. */
export function parseSteps(text: string, layers: readonly Descriptor[]): Map<string, StepResult> | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (!isObject(value) || value.version !== VERSION || !isObject(value.steps)) return undefined;
  const entries = Object.entries(value.steps);
  if (entries.length > MAX_STEPS) return undefined;
  const sizes = new Map(layers.map(({ digest, size }) => [digest, size]));
  const steps = new Map<string, StepResult>();
  for (const [key, one] of entries) {
    const result = isStepKey(key) ? readStepRecord(one) : undefined;
    if (!result) return undefined;
    if (!result.layer || sizes.get(result.layer.digest) === result.layer.size) steps.set(key, result);
  }
  return steps;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
