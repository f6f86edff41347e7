import { journal } from "../container/journal.ts";
import { OCI_CONFIG, OCI_MANIFEST } from "../oci/media-types.ts";
import { familiarName, formatReference, parseReference } from "../oci/reference.ts";
import type { Descriptor, Digest, HistoryEntry, ImageConfig, Manifest } from "../oci/types.ts";
import { putBlob } from "../store/blob-store.ts";
import type { StepResult } from "../store/build-cache.ts";
import { changeIndex, readIndex, refName, withName } from "../store/image-index.ts";
import { storeLayout } from "../store/layout.ts";
import type { BuildResult } from "./build.ts";
import type { BuildWorld, FinishedStage, StageState } from "./stage-builder.ts";

/** What a build knows of an image beside its last state. */
interface Made {
  /** Layers that its base image brought. */
  baseLayers: number;
  /** All steps, by key. */
  steps: ReadonlyMap<string, StepResult>;
}

type Annotations = Pick<Manifest, "annotations">;

/** Makes the image of a finished stage, gives it its names, and writes what else was asked for. */
export async function keepImage(world: BuildWorld, state: StageState, made: Made): Promise<BuildResult> {
  const { engine, options } = world;
  const { outputs, tags } = options;
  for (const output of outputs) {
    if (output.type === "local" || output.type === "tar")
      await (await import("./export-tree.ts")).exportTree(world, state, output);
  }
  const archives = outputs.filter((output) => output.type === "oci" || output.type === "docker");
  // files alone were asked for: no image is left behind
  if (outputs.length > 0 && archives.length === 0 && tags.length === 0) return { names: [] };
  const layers = await Promise.all(
    state.layers.map(async ({ diffID, mediaType, blob }) => ({ diffID, mediaType, ...(await blob) })),
  );
  const whole: FinishedStage = { ...state, layers };
  const finished = options.squash ? await (await import("./squash.ts")).squash(world, whole, made.baseLayers) : whole;
  const { config, entry } = putImage(world, finished, await inlineSteps(world, state, made));
  const references = tags.map((tag) => parseReference(tag));
  await name(world, entry, references.map(formatReference));
  const names = references.map(familiarName);
  for (const archive of archives) {
    const { save } = await import("../engine/save.ts");
    await save(engine, names.length > 0 ? names : [config], {
      format: archive.type === "oci" ? "oci-archive" : "docker-archive",
      ...(archive.dest !== undefined && { path: archive.dest }),
      signal: options.signal,
    });
  }
  // podman's word
  const told = references.length > 0 ? references.map(formatReference) : [config];
  for (const one of told) journal(engine.root, { type: "image", action: "build", id: config, name: one });
  return { imageID: config, manifestDigest: entry.digest, names };
}

/** `--cache-to type=inline`: the image tells by which steps it was made. The layers of one that is squashed are not theirs. */
async function inlineSteps({ options }: BuildWorld, state: StageState, { steps }: Made): Promise<Annotations> {
  if (options.squash || !options.cacheTo.some(({ type }) => type === "inline")) return {};
  const { stepsOf } = await import("./cache/export-steps.ts");
  const { formatSteps, STEPS_ANNOTATION } = await import("./cache/step-record.ts");
  return { annotations: { [STEPS_ANNOTATION]: formatSteps(stepsOf(state, steps)) } };
}

function putImage(
  world: BuildWorld,
  state: FinishedStage,
  annotations: Annotations,
): { config: Digest; entry: Descriptor } {
  const layout = storeLayout(world.engine.root);
  const { labels, sourceDateEpoch } = world.options;
  const process =
    Object.keys(labels).length > 0 ? { ...state.config, Labels: { ...state.config.Labels, ...labels } } : state.config;
  const { author, ...platform } = state.image;
  const clamp = (entry: HistoryEntry) =>
    sourceDateEpoch === undefined ? entry : { ...entry, created: earlier(entry.created, sourceDateEpoch) };
  const config: ImageConfig = {
    created: state.created,
    ...(author !== undefined && { author }),
    ...platform,
    config: process,
    rootfs: { type: "layers", diff_ids: state.layers.map((layer) => layer.diffID) },
    history: state.history.map(clamp),
  };
  const blob = putBlob(layout, Buffer.from(JSON.stringify(config)));
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: OCI_MANIFEST,
    config: { mediaType: OCI_CONFIG, ...blob },
    layers: state.layers.map(({ mediaType, digest, size }) => ({ mediaType, digest, size })),
    ...annotations,
  };
  const entry = { mediaType: OCI_MANIFEST, ...putBlob(layout, Buffer.from(JSON.stringify(manifest))) };
  return { config: blob.digest, entry };
}

function earlier(created: string | undefined, epoch: number): string {
  const limit = new Date(epoch * 1000).toISOString();
  return created !== undefined && Date.parse(created) < epoch * 1000 ? created : limit;
}

/** A repeated build whose names lead to the image already changes nothing. */
async function name(world: BuildWorld, entry: Descriptor, names: string[]): Promise<void> {
  const layout = storeLayout(world.engine.root);
  const entries = readIndex(layout);
  const has = (wanted: string | undefined) =>
    entries.some((one) => one.digest === entry.digest && refName(one) === wanted);
  if (names.length > 0 ? names.every(has) : entries.some((one) => one.digest === entry.digest)) return;
  await changeIndex(layout, (current) => {
    if (names.length > 0) return names.reduce((list, one) => withName(list, one, entry), current);
    return current.some((one) => one.digest === entry.digest) ? current : [...current, entry];
  });
}
