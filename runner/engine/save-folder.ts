import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { createGzip } from "node:zlib";
import { TsboxError } from "../base/error.ts";
import { makeFolder } from "../base/make-folder.ts";
import { digestHex } from "../oci/digest.ts";
import { DOCKER_LAYER_GZIP } from "../oci/media-types.ts";
import type { Digest, Manifest } from "../oci/types.ts";
import { LAYOUT_FILE, layoutIndex, savedBlobs } from "./save-archive.ts";
import { type SavedBlob, type SavedImage, withManifest } from "./saved-image.ts";
import { writeChunks } from "./write-chunks.ts";

/** Makes a folder that gets its name when it is complete. */
async function fillFolder(path: string, fill: (staged: string) => Promise<void>): Promise<void> {
  if (existsSync(path) && readdirSync(path).length > 0) {
    throw new TsboxError(`Cannot save to "${path}": the folder is not empty`, {
      code: "NOT_EMPTY",
      hint: "name a new one",
      exitCode: 1,
    });
  }
  makeFolder(dirname(path));
  const staged = `${path}.${process.pid}.part`;
  try {
    mkdirSync(staged);
    await fill(staged);
    renameSync(staged, path);
  } catch (error) {
    rmSync(staged, { recursive: true, force: true });
    throw error;
  }
}

/** An OCI layout: skopeo's `oci:`. */
export async function saveLayout(images: SavedImage[], path: string, signal?: AbortSignal): Promise<void> {
  await fillFolder(path, async (staged) => {
    const blobs = join(staged, "blobs", "sha256");
    mkdirSync(blobs, { recursive: true });
    for (const blob of savedBlobs(images)) await writeFile(join(blobs, digestHex(blob.digest)), blob.open(), signal);
    writeFileSync(join(staged, "index.json"), layoutIndex(images));
    writeFileSync(join(staged, "oci-layout"), LAYOUT_FILE);
  });
}

/** One image as skopeo's `dir:` has it: the manifest, and blobs named by their digests. */
export async function saveDirectory(
  image: SavedImage,
  path: string,
  { compress = false, signal }: { compress?: boolean; signal?: AbortSignal },
): Promise<void> {
  await fillFolder(path, async (staged) => {
    const place = (blob: SavedBlob) => join(staged, digestHex(blob.digest));
    const layers: SavedBlob[] = [];
    for (const layer of image.layers) {
      layers.push(compress && isPlain(layer) ? await compressed(layer, staged, signal) : layer);
    }
    const saved = compress ? withManifest(image, { schemaVersion: 2 } as Manifest, { layers }) : image;
    for (const blob of [saved.config, ...saved.layers]) {
      if (!existsSync(place(blob))) await writeFile(place(blob), blob.open(), signal);
    }
    writeFileSync(join(staged, "manifest.json"), saved.manifest.bytes);
    writeFileSync(join(staged, "version"), "Directory Transport Version: 1.1\n");
  });
}

function isPlain({ mediaType }: SavedBlob): boolean {
  return mediaType.endsWith(".tar");
}

/** Written at once, under the name that its digest turns out to be. */
async function compressed(layer: SavedBlob, folder: string, signal?: AbortSignal): Promise<SavedBlob> {
  const hash = createHash("sha256");
  let size = 0;
  const zipped = Readable.from(layer.open()).pipe(createGzip({ chunkSize: 1 << 20 }));
  const path = join(folder, "layer.part");
  await writeFile(
    path,
    (async function* () {
      for await (const chunk of zipped) {
        hash.update(chunk);
        size += chunk.length;
        yield chunk as Uint8Array;
      }
    })(),
    signal,
  );
  const digest: Digest = `sha256:${hash.digest("hex")}`;
  renameSync(path, join(folder, digestHex(digest)));
  return { ...layer, mediaType: DOCKER_LAYER_GZIP, digest, size };
}

async function writeFile(path: string, source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<void> {
  const file = await open(path, "wx");
  try {
    await writeChunks(file, source, signal);
  } finally {
    await file.close();
  }
}
