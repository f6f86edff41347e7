import { createReadStream, statSync } from "node:fs";
import { posix } from "node:path";
import { TsboxError, visible } from "../base/error.ts";
import { RecordKind } from "../layers/abi.ts";
import { decompress, sniff } from "../layers/decompress.ts";
import { readEntries } from "../layers/reader.ts";
import { isDigest } from "../oci/digest.ts";
import {
  isManifestType,
  OCI_CONFIG,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
} from "../oci/media-types.ts";
import { choosePlatform, hostPlatform, platformMatches } from "../oci/platform.ts";
import { familiarName, formatReference, parseReference } from "../oci/reference.ts";
import type { Descriptor, Digest, Manifest } from "../oci/types.ts";
import { isIndex, parseImageConfig, parseIndex, parseJson, parseManifest } from "../oci/validate.ts";
import { blobStream, putBlob, putBlobStream } from "../store/blob-store.ts";
import { hasBlob, readBlob } from "../store/blobs.ts";
import { changeIndex, REF_NAME, withName } from "../store/image-index.ts";
import { type Inbox, openInbox } from "../store/inbox.ts";
import { makeStore, type StoreLayout, storeLayout } from "../store/layout.ts";
import { directoryEntries, type InputEntry } from "./directory-entries.ts";
import type { Engine } from "./engine.ts";
import { collectGarbage } from "./gc.ts";
import { checkIsImage, layerDescriptors } from "./image-layers.ts";
import type { LayerProgress } from "./pull.ts";
import { unpackLayers } from "./unpack-image.ts";

export interface LoadOptions {
  /** File or folder; absent: standard input. */
  path?: string;
  signal?: AbortSignal;
  onProgress?: (event: LayerProgress) => void;
}

export interface LoadedImage {
  /** As people write them. */
  names: string[];
  id: Digest;
}

/** A manifest of the archive, and the names it is given there. */
interface Found {
  descriptor: Descriptor;
  names: string[];
}

/** One file of an archive, as it was kept: every file becomes a blob, whatever its name. */
interface Kept {
  digest: Digest;
  size: number;
  compression: "gzip" | "zstd" | "none";
}

const MAX_JSON = 4 << 20;

/**
 * Reads images from a docker-archive (of `docker save` or `podman save`), an OCI archive or an OCI folder, compressed or not, in one pass: each file
 * becomes a blob of the store; what the archive means is read at its end; names are given last.
 */
export async function load(engine: Engine, options: LoadOptions): Promise<LoadedImage[]> {
  const store = storeLayout(engine.root);
  makeStore(store);
  const source = describeSource(options.path);
  const inbox = openInbox(store);
  const { layout } = inbox;
  try {
    const kept = await keepFiles(layout, inputEntries(options.path), options.signal);
    const found = kept.has("index.json")
      ? ociImages(layout, kept, source)
      : kept.has("manifest.json")
        ? dockerImages(layout, kept, source)
        : undefined;
    if (!found || found.length === 0) {
      throw new TsboxError(
        `Cannot load ${source}: ${found ? "it holds no image for this machine" : "it has neither index.json nor manifest.json"}`,
        {
          code: "NOT_AN_IMAGE_ARCHIVE",
          hint: "a root filesystem's tarball is taken by `tsbox import`",
          exitCode: 1,
        },
      );
    }
    const loaded: LoadedImage[] = [];
    for (const image of found) loaded.push(await addImage(engine, store, inbox, image, source, options));
    return loaded;
  } finally {
    inbox.release();
    await collectGarbage(engine);
  }
}

function describeSource(path: string | undefined): string {
  return path === undefined ? "standard input" : `"${path}"`;
}

async function* inputEntries(path: string | undefined): AsyncGenerator<InputEntry> {
  if (path === undefined) {
    yield* archiveEntries(process.stdin);
    return;
  }
  let directory: boolean;
  try {
    directory = statSync(path).isDirectory();
  } catch (cause) {
    throw new TsboxError(
      `Cannot load "${path}": ${(cause as NodeJS.ErrnoException).code === "ENOENT" ? "no such file" : (cause as Error).message}`,
      {
        code: "NO_INPUT",
        cause,
        exitCode: 1,
      },
    );
  }
  if (directory) yield* directoryEntries(path);
  else yield* archiveEntries(createReadStream(path, { highWaterMark: 1 << 20 }));
}

async function* archiveEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<InputEntry> {
  for await (const { record, path, content } of readEntries(decompress(source), { whiteouts: false })) {
    if (record.kind === RecordKind.FILE) yield { path, content };
    // docker-archives name a layer that several images share by links
    else if (record.kind === RecordKind.SYMLINK)
      yield { path, link: posix.join(posix.dirname(path), Buffer.from(record.link).toString()) };
    else if (record.kind === RecordKind.HARDLINK) yield { path, link: Buffer.from(record.link).toString() };
  }
}

async function keepFiles(
  layout: StoreLayout,
  entries: AsyncIterable<InputEntry>,
  signal: AbortSignal | undefined,
): Promise<Map<string, Kept>> {
  const kept = new Map<string, Kept>();
  const links = new Map<string, string>();
  for await (const entry of entries) {
    signal?.throwIfAborted();
    if (entry.link !== undefined) {
      links.set(entry.path, entry.link);
      continue;
    }
    const named = /^blobs\/sha256\/([0-9a-f]{64})$/.exec(entry.path)?.[1];
    const { digest, size, head } = await putBlobStream(
      layout,
      entry.content,
      named === undefined ? undefined : `sha256:${named}`,
    );
    kept.set(entry.path, { digest, size, compression: sniff(head) });
  }
  for (const [path, target] of links) {
    const file = kept.get(target);
    if (file) kept.set(path, file);
  }
  return kept;
}

function json(layout: StoreLayout, file: Kept | undefined, what: string): Record<string, unknown> {
  if (!file || file.size > MAX_JSON) {
    throw new TsboxError(`Cannot load ${what}: it is ${file ? "too large" : "not in the archive"}`, {
      code: "INVALID_IMAGE",
      exitCode: 1,
    });
  }
  return parseJson(readBlob(layout, file.digest), what);
}

/** What a descriptor says must be there, at the size it says: a layer that is unpacked already would not be looked at. */
function checkPresent(layout: StoreLayout, { digest, size }: Descriptor, source: string): void {
  const found = hasBlob(layout, digest) ? statSync(layout.blob(digest)).size : undefined;
  if (found === size) return;
  const state = found === undefined ? "is not in it" : `has ${found} bytes, its descriptor says ${size}`;
  throw new TsboxError(`Cannot load ${source}: blob ${digest} ${state}`, {
    code: "INVALID_IMAGE",
    hint: "the archive was cut off or put together wrongly",
    exitCode: 1,
  });
}

function blobJson(layout: StoreLayout, descriptor: Descriptor, source: string): Record<string, unknown> {
  checkPresent(layout, descriptor, source);
  return json(layout, { ...descriptor, compression: "none" }, `${descriptor.digest} of ${source}`);
}

/** The images of index.json; an index below it stands for its manifest for this machine. */
function ociImages(layout: StoreLayout, kept: Map<string, Kept>, source: string): Found[] {
  const found: Found[] = [];
  const visit = (entry: Descriptor, names: string[], depth: number): void => {
    if (isManifestType(entry.mediaType)) {
      found.push({ descriptor: { mediaType: entry.mediaType, digest: entry.digest, size: entry.size }, names });
      return;
    }
    if (!hasBlob(layout, entry.digest) || depth > 2) return;
    const value = blobJson(layout, entry, source);
    if (!isIndex(value)) return;
    const chosen = choosePlatform(parseIndex(value, `index ${entry.digest}`).manifests, hostPlatform());
    if (chosen) visit(chosen, names, depth + 1);
  };
  const { manifests } = parseIndex(
    json(layout, kept.get("index.json"), `index.json of ${source}`),
    `index.json of ${source}`,
  );
  const dockerNames = kept.has("manifest.json") ? repoTags(layout, kept, source) : new Map<Digest, string[]>();
  const nameOf = ({ annotations }: Descriptor) => annotations?.["io.containerd.image.name"] ?? annotations?.[REF_NAME];
  const fits = ({ platform }: Descriptor) => platform !== undefined && platformMatches(hostPlatform(), platform);
  for (const entry of manifests) {
    if (entry.platform?.os === "unknown") continue; // an attestation
    const name = nameOf(entry);
    // one name for several platforms
    if (!fits(entry) && manifests.some((other) => fits(other) && nameOf(other) === name)) continue;
    visit(entry, name === undefined ? [] : [name], 0);
  }
  // `docker save` writes both; its manifest.json has the full names where index.json has tags alone
  for (const image of found) {
    if (dockerNames.size === 0 || !hasBlob(layout, image.descriptor.digest)) continue;
    const manifest = parseManifest(blobJson(layout, image.descriptor, source), "manifest");
    image.names = dockerNames.get(manifest.config.digest) ?? image.names;
  }
  return found;
}

function dockerManifests(
  layout: StoreLayout,
  kept: Map<string, Kept>,
  source: string,
): { Config: string; RepoTags?: string[] | null; Layers: string[] }[] {
  const what = `manifest.json of ${source}`;
  const file = kept.get("manifest.json");
  if (!file || file.size > MAX_JSON) throw new TsboxError(`Cannot load ${what}: it is too large`, { exitCode: 1 });
  const wrapped = parseJson(Buffer.from(`{"list":${readBlob(layout, file.digest).toString("utf8")}}`), what);
  const list = wrapped.list;
  const strings = (value: unknown) => Array.isArray(value) && value.every((word) => typeof word === "string");
  if (
    !Array.isArray(list) ||
    !list.every(
      (m) => typeof m?.Config === "string" && strings(m.Layers) && (m.RepoTags == null || strings(m.RepoTags)),
    )
  ) {
    throw new TsboxError(`Cannot load ${what}: it is not a list of images`, { code: "INVALID_IMAGE", exitCode: 1 });
  }
  return list as { Config: string; RepoTags?: string[] | null; Layers: string[] }[];
}

function repoTags(layout: StoreLayout, kept: Map<string, Kept>, source: string): Map<Digest, string[]> {
  const tags = new Map<Digest, string[]>();
  for (const image of dockerManifests(layout, kept, source)) {
    const config = kept.get(image.Config);
    if (config && image.RepoTags) tags.set(config.digest, image.RepoTags);
  }
  return tags;
}

/** The images of a docker-archive's manifest.json, each given an OCI manifest. */
function dockerImages(layout: StoreLayout, kept: Map<string, Kept>, source: string): Found[] {
  return dockerManifests(layout, kept, source).map(({ Config, RepoTags, Layers }) => {
    const file = (path: string): Kept => {
      const found = kept.get(path);
      if (!found) {
        throw new TsboxError(
          `Cannot load ${source}: "${visible(path)}" is named in manifest.json and not in the archive`,
          {
            code: "INVALID_IMAGE",
            hint: "the archive was cut off or put together wrongly",
            exitCode: 1,
          },
        );
      }
      return found;
    };
    const config = file(Config);
    const named = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(Config)?.[1];
    if (named !== undefined && isDigest(`sha256:${named}`) && config.digest !== `sha256:${named}`) {
      throw new TsboxError(`Cannot load ${source}: the config "${visible(Config)}" has digest ${config.digest}`, {
        code: "DIGEST_MISMATCH",
        exitCode: 1,
      });
    }
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: config.digest, size: config.size },
      layers: Layers.map((path) => layerDescriptor(file(path))),
    };
    const { digest, size } = putBlob(layout, Buffer.from(JSON.stringify(manifest)));
    return { descriptor: { mediaType: OCI_MANIFEST, digest, size }, names: RepoTags ?? [] };
  });
}

function layerDescriptor({ digest, size, compression }: Kept): Descriptor {
  const types = { gzip: OCI_LAYER_GZIP, zstd: OCI_LAYER_ZSTD, none: OCI_LAYER };
  return { mediaType: types[compression], digest, size };
}

/** Unpacks an image whose blobs are there, keeps them, and gives it its names. */
async function addImage(
  engine: Engine,
  store: StoreLayout,
  { layout, adopt }: Inbox,
  { descriptor, names }: Found,
  source: string,
  options: Pick<LoadOptions, "onProgress" | "signal">,
): Promise<LoadedImage> {
  const references = names.map((name) => parseReference(name));
  const manifest = parseManifest(blobJson(layout, descriptor, source), `manifest ${descriptor.digest}`);
  checkIsImage(manifest, `manifest ${descriptor.digest}`);
  const config = parseImageConfig(blobJson(layout, manifest.config, source), `image config ${manifest.config.digest}`);
  const layers = layerDescriptors(manifest, config);
  for (const layer of layers) checkPresent(layout, layer, source);
  const progress = options.onProgress ?? (() => {});
  await unpackLayers(
    engine,
    engine.identity(),
    config.rootfs.diff_ids,
    (number) => {
      options.signal?.throwIfAborted();
      const layer = layers[number] as Descriptor;
      progress({ layer: layer.digest, phase: "unpacking", current: 0, total: layer.size });
      return blobStream(layout, layer.digest);
    },
    (number) => progress({ layer: (layers[number] as Descriptor).digest, phase: "done" }),
  );
  adopt([descriptor, manifest.config, ...layers].map(({ digest }) => digest));
  await changeIndex(store, (entries) => {
    if (references.length === 0) {
      return entries.some((entry) => entry.digest === descriptor.digest) ? entries : [...entries, descriptor];
    }
    return references.reduce((all, reference) => withName(all, formatReference(reference), descriptor), entries);
  });
  return { names: references.map(familiarName), id: manifest.config.digest };
}
