import { directoryRecord, fileRecord, type OutgoingEntry } from "../layers/writer.ts";
import { digestHex } from "../oci/digest.ts";
import { OCI_INDEX } from "../oci/media-types.ts";
import { REF_NAME } from "../store/image-index.ts";
import type { SavedBlob, SavedImage } from "./saved-image.ts";

export const LAYOUT_FILE: Buffer = Buffer.from('{"imageLayoutVersion":"1.0.0"}');

/**
 * index.json of an OCI layout. Names stand there in full, as podman writes them: podman takes a short one for its own (localhost/…), docker shortens what it
 * reads.
 */
export function layoutIndex(images: SavedImage[]): Buffer {
  const manifests = images.flatMap(({ manifest, names }) => {
    const { mediaType, digest, bytes } = manifest;
    const descriptor = { mediaType, digest, size: bytes.length };
    return names.length === 0
      ? [descriptor]
      : names.map((name) => ({ ...descriptor, annotations: { [REF_NAME]: name } }));
  });
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }));
}

/** Every blob of the images once, in the order of digests. */
export function savedBlobs(images: SavedImage[]): SavedBlob[] {
  const all = images.flatMap(({ manifest, config, layers }): SavedBlob[] => [
    { ...manifest, size: manifest.bytes.length, open: () => once(manifest.bytes) },
    config,
    ...layers,
  ]);
  const unique = [...new Map(all.map((blob) => [blob.digest, blob])).values()];
  return unique.sort((a, b) => (a.digest < b.digest ? -1 : 1));
}

async function* once(bytes: Buffer): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function file(path: string, content: Buffer): OutgoingEntry {
  return { record: fileRecord(path, content.length), content: [content] };
}

/**
 * An OCI layout in a tar. With `docker` it has docker's manifest.json as well, as `docker save` writes it since 25: every reader of docker-archives finds
 * its layers by that, and takes them compressed as they are.
 */
export function* archiveEntries(images: SavedImage[], options: { docker: boolean }): Generator<OutgoingEntry> {
  yield { record: directoryRecord("blobs") };
  yield { record: directoryRecord("blobs/sha256") };
  for (const blob of savedBlobs(images)) {
    yield { record: fileRecord(blobPath(blob), blob.size), content: blob.open() };
  }
  yield file("index.json", layoutIndex(images));
  if (options.docker) yield file("manifest.json", dockerManifest(images));
  yield file("oci-layout", LAYOUT_FILE);
}

function blobPath({ digest }: { digest: SavedBlob["digest"] }): string {
  return `blobs/sha256/${digestHex(digest)}`;
}

function dockerManifest(images: SavedImage[]): Buffer {
  return Buffer.from(
    JSON.stringify(
      images.map((image) => ({
        Config: blobPath(image.config),
        RepoTags: image.names.filter((name) => !name.includes("@")),
        Layers: image.layers.map(blobPath),
      })),
    ),
  );
}
