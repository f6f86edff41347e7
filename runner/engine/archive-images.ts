import { TsboxError, visible } from "../base/error.ts";
import { sniff } from "../layers/decompress.ts";
import { isDigest } from "../oci/digest.ts";
import {
  isManifestType,
  OCI_CONFIG,
  OCI_LAYER,
  OCI_LAYER_GZIP,
  OCI_LAYER_ZSTD,
  OCI_MANIFEST,
} from "../oci/media-types.ts";
import { choosePlatform, platformMatches } from "../oci/platform.ts";
import type { Descriptor, Digest, Manifest, Platform } from "../oci/types.ts";
import { isIndex, parseImageConfig, parseIndex, parseJson, parseManifest } from "../oci/validate.ts";
import { putBlob } from "../store/blob-store.ts";
import { hasBlob, readBlob } from "../store/blobs.ts";
import { REF_NAME } from "../store/image-index.ts";
import { type ArchiveFile, type ArchiveFiles, archiveText, blobJson } from "./archive-files.ts";

/** A manifest of the archive, and the names it is given there. */
export interface ArchivedImage {
  descriptor: Descriptor;
  names: string[];
}

/** What containerd, and docker with it, write beside the specification's own, which often has the tag alone. */
const CONTAINERD_NAME = "io.containerd.image.name";

/**
 * The images of an archive: an OCI layout (which `docker save` makes too, beside its own manifest.json), a docker-archive, or skopeo's `dir:`. Undefined
 * when it is none of them.
 */
export function archivedImages(archive: ArchiveFiles, platform: Platform): ArchivedImage[] | undefined {
  if (archive.files.has("index.json")) return merged(ociImages(archive, platform));
  if (!archive.files.has("manifest.json")) return undefined;
  const text = archiveText(archive, "manifest.json");
  return merged(
    /^\s*\[/.test(text.toString("utf8")) ? dockerImages(archive) : directoryImages(archive, platform, text),
  );
}

/** One image may be listed once for each of its names. */
function merged(found: ArchivedImage[]): ArchivedImage[] {
  const images = new Map<Digest, ArchivedImage>();
  for (const { descriptor, names } of found) {
    const known = images.get(descriptor.digest);
    if (known) known.names.push(...names.filter((name) => !known.names.includes(name)));
    else images.set(descriptor.digest, { descriptor, names: [...new Set(names)] });
  }
  return [...images.values()];
}

/** The images of index.json; an index below it stands for its manifest for the platform. */
function ociImages(archive: ArchiveFiles, platform: Platform): ArchivedImage[] {
  const { source } = archive;
  const found: ArchivedImage[] = [];
  const what = `index.json of ${source}`;
  const { manifests } = parseIndex(parseJson(archiveText(archive, "index.json"), what), what);
  const nameOf = ({ annotations }: Descriptor) => annotations?.[CONTAINERD_NAME] ?? annotations?.[REF_NAME];
  const fits = (entry: Descriptor) => entry.platform !== undefined && platformMatches(platform, entry.platform);
  for (const entry of manifests) {
    if (entry.platform?.os === "unknown") continue; // an attestation
    const name = nameOf(entry);
    // one name for several platforms
    if (!fits(entry) && manifests.some((other) => fits(other) && nameOf(other) === name)) continue;
    visit(archive, platform, entry, name === undefined ? [] : [name], found);
  }
  // `docker save` writes both; its manifest.json has the full names where index.json has tags alone
  const dockerNames = archive.files.has("manifest.json") ? repoTags(archive) : new Map<Digest, string[]>();
  for (const image of found) {
    if (dockerNames.size === 0 || !hasBlob(archive.layout, image.descriptor.digest)) continue;
    const manifest = parseManifest(blobJson(archive, image.descriptor), "manifest");
    image.names = dockerNames.get(manifest.config.digest) ?? image.names;
  }
  return found;
}

function visit(
  archive: ArchiveFiles,
  platform: Platform,
  entry: Descriptor,
  names: string[],
  found: ArchivedImage[],
  depth = 0,
): void {
  if (isManifestType(entry.mediaType)) {
    found.push({ descriptor: { mediaType: entry.mediaType, digest: entry.digest, size: entry.size }, names });
    return;
  }
  if (!hasBlob(archive.layout, entry.digest) || depth > 2) return;
  const value = blobJson(archive, entry);
  if (!isIndex(value)) return;
  const chosen = choosePlatform(parseIndex(value, `index ${entry.digest}`).manifests, platform);
  if (chosen) visit(archive, platform, chosen, names, found, depth + 1);
}

interface DockerImage {
  Config: string;
  RepoTags?: string[] | null;
  Layers: string[];
}

function dockerManifests(archive: ArchiveFiles): DockerImage[] {
  const what = `manifest.json of ${archive.source}`;
  const text = archiveText(archive, "manifest.json").toString("utf8");
  const { list } = parseJson(Buffer.from(`{"list":${text}}`), what);
  const strings = (value: unknown) => Array.isArray(value) && value.every((word) => typeof word === "string");
  if (
    !Array.isArray(list) ||
    !list.every(
      (m) => typeof m?.Config === "string" && strings(m.Layers) && (m.RepoTags == null || strings(m.RepoTags)),
    )
  ) {
    throw new TsboxError(`Cannot load ${what}: it is not a list of images`, { code: "INVALID_IMAGE", exitCode: 1 });
  }
  return list as DockerImage[];
}

function repoTags(archive: ArchiveFiles): Map<Digest, string[]> {
  const tags = new Map<Digest, string[]>();
  for (const image of dockerManifests(archive)) {
    const config = archive.files.get(image.Config);
    if (config?.digest && image.RepoTags)
      tags.set(config.digest, [...(tags.get(config.digest) ?? []), ...image.RepoTags]);
  }
  return tags;
}

/** The images of a docker-archive's manifest.json, each given an OCI manifest. */
function dockerImages(archive: ArchiveFiles): ArchivedImage[] {
  const { files, layout, source } = archive;
  const file = (path: string): ArchiveFile => {
    const found = files.get(path);
    if (found) return found;
    throw new TsboxError(`Cannot load ${source}: "${visible(path)}" is named in manifest.json and not in the archive`, {
      code: "INVALID_IMAGE",
      hint: "the archive was cut off or put together wrongly",
      exitCode: 1,
    });
  };
  return dockerManifests(archive).map(({ Config, RepoTags, Layers }) => {
    const config = file(Config);
    if (!config.digest) throw tooLarge(`config "${visible(Config)}" of ${source}`);
    const named = /^(?:blobs\/sha256\/)?([0-9a-f]{64})(?:\.json)?$/.exec(Config)?.[1];
    if (named !== undefined && isDigest(`sha256:${named}`) && config.digest !== `sha256:${named}`) {
      throw new TsboxError(`Cannot load ${source}: the config "${visible(Config)}" has digest ${config.digest}`, {
        code: "DIGEST_MISMATCH",
        exitCode: 1,
      });
    }
    const what = `config "${visible(Config)}" of ${source}`;
    const diffIDs = parseImageConfig(parseJson(readBlob(layout, config.digest), what), what).rootfs.diff_ids;
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: { mediaType: OCI_CONFIG, digest: config.digest, size: config.size },
      layers: Layers.map((path, number) => layerDescriptor(archive, file(path), diffIDs[number])),
    };
    const { digest, size } = putBlob(layout, Buffer.from(JSON.stringify(manifest)));
    return { descriptor: { mediaType: OCI_MANIFEST, digest, size }, names: RepoTags ?? [] };
  });
}

/** A plain layer that was not received yet is what the config says of it, or it is refused when it comes. */
function layerDescriptor({ awaited }: ArchiveFiles, file: ArchiveFile, diffID: Digest | undefined): Descriptor {
  const types = { gzip: OCI_LAYER_GZIP, zstd: OCI_LAYER_ZSTD, none: OCI_LAYER };
  const compression = sniff(file.head);
  if (!file.digest) {
    if (diffID === undefined || compression !== "none") throw new NeedsDigest(file);
    file.digest = diffID;
    awaited.set(diffID, file);
  }
  return { mediaType: types[compression], digest: file.digest, size: file.size };
}

/** The digest of a large file must be known before it can be said what it is. */
export class NeedsDigest extends Error {
  constructor(readonly file: ArchiveFile) {
    super("a digest is not known yet");
  }
}

function tooLarge(what: string): TsboxError {
  return new TsboxError(`Cannot load ${what}: it is too large`, { code: "INVALID_IMAGE", exitCode: 1 });
}

/** skopeo's `dir:` and podman's docker-dir: manifest.json is the manifest itself, blobs lie beside it. They have no names. */
function directoryImages(archive: ArchiveFiles, platform: Platform, text: Buffer): ArchivedImage[] {
  const value = parseJson(text, `manifest.json of ${archive.source}`);
  const { digest, size } = archive.files.get("manifest.json") as ArchiveFile;
  if (!digest) throw tooLarge(`manifest.json of ${archive.source}`);
  const told = value.mediaType as string | undefined;
  const mediaType = isIndex(value) || isManifestType(told) ? (told ?? "") : OCI_MANIFEST;
  const found: ArchivedImage[] = [];
  visit(archive, platform, { mediaType, digest, size }, [], found);
  return found;
}
