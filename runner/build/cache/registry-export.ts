import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { TsboxError, visible } from "../../base/error.ts";
import type { Engine } from "../../engine/engine.ts";
import { registryOptions } from "../../engine/registry-options.ts";
import { OCI_MANIFEST } from "../../oci/media-types.ts";
import { formatReference, type Reference } from "../../oci/reference.ts";
import type { Descriptor, Digest, Manifest } from "../../oci/types.ts";
import { MAX_LAYERS } from "../../oci/validate.ts";
import { type BlobSource, RegistryWriter } from "../../registry/writer.ts";
import { rememberRepository, repositoriesWith } from "../../store/blob-origins.ts";
import type { StepResult } from "../../store/build-cache.ts";
import { storeLayout } from "../../store/layout.ts";
import type { BuildOptions } from "../options.ts";
import { formatSteps, STEPS_TYPE } from "./step-record.ts";

/** Blobs that are sent at the same time. */
const AT_ONCE = 4;

/** What stands for a list of layers that is empty, which registries may refuse (OCI image spec, "Guidance for an Empty Descriptor"). */
const EMPTY = Buffer.from("{}");
const EMPTY_TYPE = "application/vnd.oci.empty.v1+json";

/**
 * Gives a registry the steps of a build as an artifact: its config is the list of steps, its layers are theirs, so that the registry shares them with images
 * that have them. The manifest goes last. Returns the number of layers.
 */
export async function keepInRegistry(
  engine: Engine,
  reference: Reference,
  steps: ReadonlyMap<string, StepResult>,
  options: Pick<BuildOptions, "connection" | "signal">,
): Promise<number> {
  const layout = storeLayout(engine.root);
  const layers = layersOf(steps);
  const kept = new Map([...steps].filter(([, { layer }]) => !layer || layers.has(layer.digest)));
  const list = Buffer.from(formatSteps(kept));
  const config = { mediaType: STEPS_TYPE, ...described(list) };
  const empty = { mediaType: EMPTY_TYPE, ...described(EMPTY) };
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    artifactType: STEPS_TYPE,
    config,
    layers: layers.size > 0 ? [...layers.values()] : [empty],
  };
  // ends every transfer when one fails
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  try {
    if (engine.lock.offline) throw new TsboxError("--offline forbids the network", { code: "OFFLINE" });
    const writer = await RegistryWriter.open(reference, registryOptions(options.connection, signal));
    try {
      const small = (descriptor: Descriptor, bytes: Buffer): BlobSource => ({
        descriptor,
        open: (offset) => Readable.from([bytes.subarray(offset)]),
        known: [],
        onProgress: () => {},
      });
      const waiting: BlobSource[] = [small(config, list), ...(layers.size > 0 ? [] : [small(empty, EMPTY)])];
      for (const descriptor of layers.values()) {
        waiting.push({
          descriptor,
          open: (start) => createReadStream(layout.blob(descriptor.digest), { start, highWaterMark: 1 << 20 }),
          known: repositoriesWith(layout, descriptor.digest, reference.domain),
          onProgress: () => {},
        });
      }
      const worker = async () => {
        for (let one = waiting.shift(); one; one = waiting.shift()) await writer.blob(one);
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      const bytes = Buffer.from(JSON.stringify(manifest));
      await writer.manifest(reference.tag ?? "latest", OCI_MANIFEST, bytes, described(bytes).digest);
    } finally {
      writer.close();
    }
  } catch (cause) {
    options.signal.throwIfAborted();
    const { message, hint } = cause as TsboxError;
    throw new TsboxError(`Cannot write the cache to "${visible(formatReference(reference))}": ${lower(message)}`, {
      code: "CACHE_TO",
      cause,
      exitCode: 1,
      hint: hint ?? "the image itself is complete; with ignore-error=true this is a note",
    });
  } finally {
    stop.abort();
  }
  rememberRepository(layout, reference, [...layers.values()]);
  return layers.size;
}

/** Each once, and not more than a manifest may have. */
function layersOf(steps: ReadonlyMap<string, StepResult>): Map<Digest, Descriptor> {
  const layers = new Map<Digest, Descriptor>();
  for (const { layer } of steps.values()) {
    if (!layer || layers.size === MAX_LAYERS) continue;
    const { digest, size, mediaType } = layer;
    layers.set(digest, { mediaType, digest, size });
  }
  return layers;
}

function described(bytes: Buffer): { digest: Digest; size: number } {
  return { digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`, size: bytes.length };
}

function lower(message: string): string {
  return message.replace(/^Cannot /, "cannot ");
}
