import { TsboxError, visible } from "../base/error.ts";
import { journal } from "../container/journal.ts";
import { writeArchive } from "../layers/writer.ts";
import { formatPlatform, platformMatches } from "../oci/platform.ts";
import type { Descriptor, Digest, Platform } from "../oci/types.ts";
import { refName } from "../store/image-index.ts";
import { storeLayout } from "../store/layout.ts";
import { leaseStore } from "../store/lease.ts";
import type { Engine } from "./engine.ts";
import { archiveEntries } from "./save-archive.ts";
import { saveDirectory, saveLayout } from "./save-folder.ts";
import { asDocker, asStored, type SavedImage, uncompressed } from "./saved-image.ts";
import { findNamed, getImage, type StoredImage } from "./stored-image.ts";
import { unwritable, writeOutput } from "./write-output.ts";

/** podman's four: `oci-dir` is an OCI layout, `docker-dir` what skopeo calls `dir:`. */
export const SAVE_FORMATS = ["docker-archive", "oci-archive", "oci-dir", "docker-dir"] as const;

export interface SaveOptions {
  format: (typeof SAVE_FORMATS)[number];
  /** Absent: standard output. */
  path?: string;
  /** Layers as plain tars, however they are stored. */
  uncompressed?: boolean;
  /** docker-dir: plain layers by gzip. */
  compress?: boolean;
  /** What the images must be made for. */
  platform?: Platform;
  signal?: AbortSignal;
}

/**
 * Writes images to an archive or folder that docker, podman and skopeo read. The same images give the same bytes. A file gets its name when it is
 * complete.
 */
export async function save(engine: Engine, references: string[], options: SaveOptions): Promise<void> {
  const { format, path } = options;
  // nothing of the images may be swept while they are written
  const release = await leaseStore(storeLayout(engine.root));
  try {
    const asked = collect(engine, references, options.platform);
    const images = await prepare(engine, asked, options);
    if (format === "oci-dir") await saveLayout(images, path as string, options.signal);
    else if (format === "docker-dir") await saveDirectory(only(images, path as string), path as string, options);
    else await saveArchive(images, options);
    for (const { image, names } of asked) {
      journal(engine.root, { type: "image", action: "save", id: image.id, name: names[0] ?? image.id });
    }
  } catch (error) {
    throw path === undefined ? error : unwritable("save", path, error);
  } finally {
    release();
  }
}

/** An image and the names it is saved under: those that were asked for, or all of an id's. */
interface Asked {
  image: StoredImage;
  names: string[];
}

function collect(engine: Engine, references: string[], platform: Platform | undefined): Asked[] {
  const asked = new Map<Digest, Asked>();
  for (const word of references) {
    const image = getImage(engine, word);
    if (platform && !platformMatches(platform, image.config)) {
      throw new TsboxError(
        `Cannot save "${visible(word)}" for ${formatPlatform(platform)}: it is for ${formatPlatform(image.config)}`,
        { code: "NO_PLATFORM", hint: "pull the other one first: tsbox pull --platform", exitCode: 1 },
      );
    }
    let entry: Descriptor | undefined;
    try {
      entry = findNamed(image.entries, word);
    } catch {
      // an id: all its names
    }
    const names = (entry ? [entry] : image.entries).flatMap((e) => refName(e) ?? []);
    const known = asked.get(image.manifestDigest);
    if (known) known.names.push(...names.filter((name) => !known.names.includes(name)));
    else asked.set(image.manifestDigest, { image, names });
  }
  return [...asked.values()];
}

async function prepare(engine: Engine, asked: Asked[], options: SaveOptions): Promise<SavedImage[]> {
  const images: SavedImage[] = [];
  for (const { image, names } of asked) {
    let saved = asStored(engine, image, names);
    if (options.uncompressed) saved = await uncompressed(engine, image, saved);
    if (options.format === "docker-dir") saved = await asDocker(engine, image, saved);
    images.push(saved);
  }
  return images;
}

function only(images: SavedImage[], path: string): SavedImage {
  const [image] = images;
  if (image && images.length === 1) return image;
  throw new TsboxError(`Cannot save ${images.length} images to "${path}": a docker-dir holds one`, {
    code: "ONE_IMAGE",
    hint: "use --format oci-dir, or an archive",
    exitCode: 1,
  });
}

async function saveArchive(images: SavedImage[], { format, path, signal }: SaveOptions): Promise<void> {
  const archive = writeArchive(archiveEntries(images, { docker: format === "docker-archive" }));
  await writeOutput("save", path, archive, signal);
}
