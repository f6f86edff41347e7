import { TsboxError } from "../base/error.ts";
import { journal } from "../container/journal.ts";
import type { ContainerRecord } from "../container/record.ts";
import {
  DOCKER_CONFIG,
  DOCKER_LAYER,
  DOCKER_LAYER_GZIP,
  DOCKER_MANIFEST,
  OCI_CONFIG,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_MANIFEST,
} from "../oci/media-types.ts";
import { formatReference } from "../oci/reference.ts";
import type { Descriptor, Digest, HistoryEntry, ImageConfig, Manifest, ProcessConfig } from "../oci/types.ts";
import { putBlob } from "../store/blob-store.ts";
import { changeIndex, withName } from "../store/image-index.ts";
import { openInbox } from "../store/inbox.ts";
import { storeLayout } from "../store/layout.ts";
import { leaseStore } from "../store/lease.ts";
import { applyChanges } from "./config-changes.ts";
import { containerState, tell } from "./container-state.ts";
import { containerTree } from "./container-tree.ts";
import type { Engine } from "./engine.ts";
import { collectGarbage } from "./gc.ts";
import { parseNewName } from "./new-name.ts";
import { packLayer, packTreeLayer } from "./pack-layer.ts";
import { checkNotBuiltin, getImage } from "./stored-image.ts";

export type ImageFormat = "oci" | "docker";

export interface CommitOptions {
  reference?: string;
  author?: string;
  message?: string;
  /** Dockerfile instructions: `CMD ["sh"]`, `ENV A=1`… */
  changes: string[];
  format: ImageFormat;
  /** A running container's processes stand still meanwhile. */
  pause: boolean;
  /** All layers become one. */
  squash: boolean;
  sourceDateEpoch?: number;
  signal?: AbortSignal;
}

/** Makes an image of a container: that of its image with one more layer. Returns its id. */
export async function commit(engine: Engine, word: string, options: CommitOptions): Promise<Digest> {
  if (options.reference !== undefined) checkNotBuiltin(options.reference, "commit to");
  const reference = options.reference === undefined ? undefined : parseNewName(options.reference, "commit a container");
  const record = engine.containers.find(word);
  const tree = containerTree(engine, record, "commit");
  const process = applyChanges(containerConfig(record), options.changes);
  const store = storeLayout(engine.root);
  const release = await leaseStore(store);
  const inbox = openInbox(store);
  const { layout } = inbox;
  try {
    const base = getImage(engine, record.imageID);
    const how = {
      inbox,
      ...(options.sourceDateEpoch !== undefined && { sourceDateEpoch: options.sourceDateEpoch }),
      ...(options.signal && { signal: options.signal }),
    };
    const pack = () => (options.squash ? packTreeLayer : packLayer)(engine, { ...tree, ...how });
    const packed = await (options.pause ? standingStill(engine, record, pack) : pack());
    const created = new Date(
      options.sourceDateEpoch === undefined ? Date.now() : options.sourceDateEpoch * 1000,
    ).toISOString();
    const step: HistoryEntry = {
      created,
      created_by: [...record.entrypoint, ...record.command].join(" "),
      ...(options.author !== undefined && { author: options.author }),
      ...(options.message !== undefined && { comment: options.message }),
      ...(!packed.changed && { empty_layer: true }),
    };
    const parents = options.squash ? [] : base.manifest.layers;
    const { created: _, author: __, config: ___, rootfs, history, ...platform } = base.config;
    const config: ImageConfig = {
      created,
      ...(options.author !== undefined && { author: options.author }),
      ...platform,
      config: process,
      rootfs: {
        type: "layers",
        diff_ids: [...(options.squash ? [] : rootfs.diff_ids), ...(packed.changed ? [packed.diffID] : [])],
      },
      history: [...(options.squash ? [] : (history ?? rootfs.diff_ids.map(() => ({})))), step],
    };
    const types = FORMATS[options.format];
    const layer: Descriptor = { mediaType: packed.mediaType, digest: packed.digest, size: packed.size };
    const configBlob = putBlob(layout, Buffer.from(JSON.stringify(config)));
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: types.manifest,
      config: { mediaType: types.config, ...configBlob },
      layers: [...parents, ...(packed.changed ? [layer] : [])].map((descriptor) => types.layer(descriptor)),
    };
    const entry = { mediaType: types.manifest, ...putBlob(layout, Buffer.from(JSON.stringify(manifest))) };
    await inbox.adopt([entry.digest, configBlob.digest, ...(packed.changed ? [packed.digest] : [])]);
    await changeIndex(store, (entries) =>
      reference ? withName(entries, formatReference(reference), entry) : [...entries, entry],
    );
    tell(engine, record, "commit", {
      imageID: configBlob.digest,
      ...(reference && { imageRef: formatReference(reference) }),
      ...(options.message !== undefined && { comment: options.message }),
    });
    if (reference) {
      const name = formatReference(reference);
      journal(engine.root, { type: "image", action: "tag", id: configBlob.digest, name });
    }
    return configBlob.digest;
  } finally {
    inbox.release();
    release();
    await collectGarbage(engine);
  }
}

/** One that was paused before stays so. */
async function standingStill<T>(engine: Engine, record: ContainerRecord, work: () => Promise<T>): Promise<T> {
  if (containerState(engine, record).status !== "running") return work();
  const { pause, unpause } = await import("./pause.ts");
  await pause(engine, record.id);
  try {
    return await work();
  } finally {
    // it may have been killed, or told to go on, by somebody else
    if (containerState(engine, record).status === "paused") await unpause(engine, record.id);
  }
}

/** Variables that are each container's own. */
const OWN_VARIABLES = ["HOSTNAME", "HOME", "TERM"];

/** What the image said of the process, and what `run` was told instead. */
function containerConfig(record: ContainerRecord): ProcessConfig {
  const image = record.config as ProcessConfig;
  const { Cmd: _, Entrypoint: __, Hostname: ___, ...kept } = image;
  const imageNames = new Set((image.Env ?? []).map(nameOf));
  return {
    ...kept,
    ...(record.user !== "" && { User: record.user }),
    Env: record.env.filter((variable) => imageNames.has(nameOf(variable)) || !OWN_VARIABLES.includes(nameOf(variable))),
    ...(record.entrypoint.length > 0 && { Entrypoint: record.entrypoint }),
    ...(record.command.length > 0 && { Cmd: record.command }),
    ...((record.cwd !== "/" || image.WorkingDir !== undefined) && { WorkingDir: record.cwd }),
    ...(Object.keys(record.labels).length > 0 && { Labels: record.labels }),
    ...((record.stopSignal !== "SIGTERM" || image.StopSignal !== undefined) && { StopSignal: record.stopSignal }),
  };
}

function nameOf(variable: string): string {
  return variable.split("=", 1)[0] ?? "";
}

const FORMATS: Record<
  ImageFormat,
  { manifest: string; config: string; layer: (descriptor: Descriptor) => Descriptor }
> = {
  oci: {
    manifest: OCI_MANIFEST,
    config: OCI_CONFIG,
    layer: (descriptor) => retyped(descriptor, { [DOCKER_LAYER_GZIP]: OCI_LAYER_GZIP, [DOCKER_LAYER]: OCI_LAYER }),
  },
  docker: {
    manifest: DOCKER_MANIFEST,
    config: DOCKER_CONFIG,
    layer(descriptor) {
      const made = retyped(descriptor, { [OCI_LAYER_GZIP]: DOCKER_LAYER_GZIP, [OCI_LAYER]: DOCKER_LAYER });
      if (made.mediaType.startsWith("application/vnd.docker.")) return made;
      throw new TsboxError(`Cannot commit in Docker's format: a layer of the image is "${descriptor.mediaType}"`, {
        code: "UNSUPPORTED_MEDIA_TYPE",
        hint: "Docker's manifests know gzip only: use --format oci, or --squash",
        exitCode: 1,
      });
    },
  },
};

function retyped(descriptor: Descriptor, types: Record<string, string>): Descriptor {
  return { ...descriptor, mediaType: types[descriptor.mediaType] ?? descriptor.mediaType };
}
