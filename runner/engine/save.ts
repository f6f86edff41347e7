import { createHash } from "node:crypto";
import {
  createWriteStream,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { copyFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { TsboxError } from "../base/error.ts";
import { decompress } from "../layers/decompress.ts";
import { directoryRecord, fileRecord, type OutgoingEntry, writeArchive } from "../layers/writer.ts";
import { digestHex } from "../oci/digest.ts";
import { OCI_INDEX } from "../oci/media-types.ts";
import { familiarName, parseReference } from "../oci/reference.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import { blobStream } from "../store/blob-store.ts";
import { readBlob } from "../store/blobs.ts";
import { REF_NAME, refName } from "../store/image-index.ts";
import { type StoreLayout, storeLayout } from "../store/layout.ts";
import type { Engine } from "./engine.ts";
import { layerSizes } from "./images.ts";
import { findNamed, getImage, type StoredImage } from "./stored-image.ts";

export interface SaveOptions {
  format: "docker-archive" | "oci-archive" | "oci-dir";
  /** Absent: standard output. */
  path?: string;
  signal?: AbortSignal;
}

/** An image and the names it is saved under: those that were asked for, or all of an id's. */
interface Saved {
  image: StoredImage;
  names: string[];
}

/**
 * Writes images to an archive or folder that docker, podman and skopeo read. The same images give the same bytes. A file gets its name when it is
 * complete.
 */
export async function save(engine: Engine, references: string[], options: SaveOptions): Promise<void> {
  const layout = storeLayout(engine.root);
  const saved = collect(engine, references);
  if (options.format === "oci-dir") {
    await writeFolder(layout, saved, options.path as string);
    return;
  }
  const entries = options.format === "oci-archive" ? ociEntries(layout, saved) : dockerEntries(engine, layout, saved);
  const archive = Readable.from(writeArchive(entries), { objectMode: false, highWaterMark: 1 << 20 });
  const signal = options.signal ? { signal: options.signal } : {};
  if (options.path === undefined) {
    await pipeline(archive, process.stdout, { ...signal, end: false });
    return;
  }
  const staged = `${options.path}.${process.pid}.part`;
  try {
    await pipeline(archive, createWriteStream(staged, { flags: "wx" }), signal);
    renameSync(staged, options.path);
  } catch (error) {
    rmSync(staged, { force: true });
    throw unwritable(options.path, error);
  }
}

function collect(engine: Engine, references: string[]): Saved[] {
  const saved = new Map<Digest, Saved>();
  for (const word of references) {
    const image = getImage(engine, word);
    let entry: Descriptor | undefined;
    try {
      entry = findNamed(image.entries, word);
    } catch {
      // an id: all its names
    }
    const names = (entry ? [entry] : image.entries).flatMap((e) => refName(e) ?? []);
    const known = saved.get(image.manifestDigest);
    if (known) known.names.push(...names.filter((name) => !known.names.includes(name)));
    else saved.set(image.manifestDigest, { image, names });
  }
  return [...saved.values()];
}

function indexOf(layout: StoreLayout, saved: Saved[]): Buffer {
  const manifests = saved.flatMap(({ image, names }) => {
    const { mediaType } = image.entries[0] as Descriptor;
    const descriptor = {
      mediaType,
      digest: image.manifestDigest,
      size: statSync(layout.blob(image.manifestDigest)).size,
    };
    // skopeo and podman take the name as it stands; people write the familiar one
    return names.length === 0
      ? [descriptor]
      : names.map((name) => ({ ...descriptor, annotations: { [REF_NAME]: familiarName(parseReference(name)) } }));
  });
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}

const LAYOUT_FILE = Buffer.from('{"imageLayoutVersion":"1.0.0"}');

function blobsOf({ image }: Saved): Digest[] {
  return [image.manifestDigest, image.manifest.config.digest, ...image.manifest.layers.map((layer) => layer.digest)];
}

function file(path: string, content: Buffer): OutgoingEntry {
  return { record: fileRecord(path, content.length), content: [content] };
}

function* ociEntries(layout: StoreLayout, saved: Saved[]): Generator<OutgoingEntry> {
  yield { record: directoryRecord("blobs") };
  yield { record: directoryRecord("blobs/sha256") };
  for (const digest of [...new Set(saved.flatMap(blobsOf))].sort()) {
    const size = statSync(layout.blob(digest)).size;
    yield { record: fileRecord(`blobs/sha256/${digestHex(digest)}`, size), content: blobStream(layout, digest) };
  }
  yield file("index.json", indexOf(layout, saved));
  yield file("oci-layout", LAYOUT_FILE);
}

/** As `docker save` wrote it before it became an OCI layout too: layers uncompressed, named by diffID. What it names is all that every reader needs. */
async function* dockerEntries(engine: Engine, layout: StoreLayout, saved: Saved[]): AsyncGenerator<OutgoingEntry> {
  const written = new Set<Digest>();
  for (const { image } of saved) {
    const sizes = layerSizes(engine, image);
    for (const [number, diffID] of image.config.rootfs.diff_ids.entries()) {
      if (written.has(diffID)) continue;
      written.add(diffID);
      const { digest } = image.manifest.layers[number] as Descriptor;
      yield {
        record: fileRecord(`${digestHex(diffID)}.tar`, sizes[number] ?? 0),
        content: verified(decompress(blobStream(layout, digest)), diffID),
      };
    }
  }
  for (const { image } of saved) yield file(`${digestHex(image.id)}.json`, readBlob(layout, image.id));
  const manifest = saved.map(({ image, names }) => ({
    Config: `${digestHex(image.id)}.json`,
    RepoTags: names.map((name) => familiarName(parseReference(name))).filter((name) => !name.includes("@")),
    Layers: image.config.rootfs.diff_ids.map((diffID) => `${digestHex(diffID)}.tar`),
  }));
  yield file("manifest.json", Buffer.from(JSON.stringify(manifest)));
}

async function* verified(source: AsyncIterable<Uint8Array>, diffID: Digest): AsyncGenerator<Uint8Array> {
  const hash = createHash("sha256");
  for await (const chunk of source) {
    hash.update(chunk);
    yield chunk;
  }
  const got = `sha256:${hash.digest("hex")}`;
  if (got !== diffID) {
    throw new TsboxError(`Cannot save layer ${diffID}: the store's copy has ${got}`, {
      code: "DIGEST_MISMATCH",
      hint: "the store is damaged: pull or load the image again",
    });
  }
}

async function writeFolder(layout: StoreLayout, saved: Saved[], path: string): Promise<void> {
  if (existsSync(path) && readdirSync(path).length > 0) {
    throw new TsboxError(`Cannot save to "${path}": the folder is not empty`, {
      code: "NOT_EMPTY",
      hint: "name a new one",
      exitCode: 1,
    });
  }
  mkdirSync(dirname(path), { recursive: true });
  const staged = `${path}.${process.pid}.part`;
  const blobs = join(staged, "blobs", "sha256");
  try {
    mkdirSync(blobs, { recursive: true });
    for (const digest of new Set(saved.flatMap(blobsOf)))
      await copyFile(layout.blob(digest), join(blobs, digestHex(digest)));
    writeFileSync(join(staged, "index.json"), indexOf(layout, saved));
    writeFileSync(join(staged, "oci-layout"), LAYOUT_FILE);
    renameSync(staged, path);
  } catch (error) {
    rmSync(staged, { recursive: true, force: true });
    throw unwritable(path, error);
  }
}

const STATES: Record<string, string> = {
  ENOENT: "its folder does not exist",
  ENOTDIR: "its folder is a file",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
};

/** What the system says of the file that is being written; errors with a sentence of their own pass as they are. */
function unwritable(path: string, error: unknown): unknown {
  const { code = "", syscall } = error as NodeJS.ErrnoException;
  if (error instanceof TsboxError || syscall === undefined) return error;
  return new TsboxError(`Cannot save to "${path}": ${STATES[code] ?? code}`, {
    code: "NOT_WRITABLE",
    cause: error,
    exitCode: 1,
  });
}
