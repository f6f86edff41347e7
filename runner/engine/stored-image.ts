import { TsboxError, visible } from "../base/error.ts";
import { digestHex, isDigest } from "../oci/digest.ts";
import { isManifestType } from "../oci/media-types.ts";
import { formatReference, parseReference } from "../oci/reference.ts";
import type { Descriptor, Digest, ImageConfig, Manifest } from "../oci/types.ts";
import { parseImageConfig, parseJson, parseManifest } from "../oci/validate.ts";
import { readBlob } from "../store/blobs.ts";
import { ASKED_NAME, readIndex, refName, SERVED_DIGEST } from "../store/image-index.ts";
import { type StoreLayout, storeLayout } from "../store/layout.ts";
import type { Engine } from "./engine.ts";

/** An image of the store. Its id is the digest of its config. */
export interface StoredImage {
  id: Digest;
  /** Its entries in the index: one a name, or one without. */
  entries: Descriptor[];
  manifestDigest: Digest;
  manifest: Manifest;
  config: ImageConfig;
}

export function loadImage(layout: StoreLayout, entry: Descriptor): StoredImage {
  const manifest = parseManifest(
    parseJson(readBlob(layout, entry.digest), `manifest ${entry.digest}`),
    `manifest ${entry.digest}`,
  );
  const what = `image config ${manifest.config.digest}`;
  const config = parseImageConfig(parseJson(readBlob(layout, manifest.config.digest), what), what);
  return { id: manifest.config.digest, entries: [entry], manifestDigest: entry.digest, manifest, config };
}

/** Whether an entry of the index leads to the image of this id. */
export function leadsTo(layout: StoreLayout, id: Digest): (entry: Descriptor) => boolean {
  return (entry) => {
    try {
      return loadImage(layout, entry).id === id;
    } catch {
      return false; // damaged
    }
  };
}

/** Every image, one a manifest, in the order of the index. A damaged one is told of and left out: the others work all the same. */
export function storedImages(engine: Engine): StoredImage[] {
  const layout = storeLayout(engine.root);
  const images = new Map<Digest, StoredImage>();
  const damaged = new Set<Digest>();
  for (const entry of readIndex(layout)) {
    if (!isManifestType(entry.mediaType)) continue;
    const known = images.get(entry.digest);
    if (known) {
      known.entries.push(entry);
      continue;
    }
    if (damaged.has(entry.digest)) continue;
    try {
      images.set(entry.digest, loadImage(layout, entry));
    } catch (error) {
      damaged.add(entry.digest);
      engine.warn(
        `image "${visible(refName(entry) ?? entry.digest)}" is left out: ${(error as Error).message} ("tsbox system check" tells more)`,
      );
    }
  }
  return [...images.values()];
}

/** The index entry that a name means: reference, or digest as the registry served it. */
export function findNamed(entries: Descriptor[], name: string): Descriptor | undefined {
  const reference = parseReference(name);
  const { digest } = reference;
  if (digest === undefined) {
    const full = formatReference(reference);
    return (
      entries.find((entry) => refName(entry) === full) ??
      entries.find((entry) => entry.annotations?.[ASKED_NAME] === full)
    );
  }
  const repository = `${reference.domain}/${reference.path}`;
  return entries.find(
    (entry) =>
      (entry.digest === digest || entry.annotations?.[SERVED_DIGEST] === digest) &&
      (refName(entry) ?? "").replace(/[:@][^/]*$/, "") === repository,
  );
}

/** By name, by id (or the unique start of one, at least two digits), or by digest; undefined when nothing fits. */
export function findImage(engine: Engine, word: string): StoredImage | undefined {
  const layout = storeLayout(engine.root);
  const digits = word.replace(/^sha256:/, "");
  if (!word.startsWith("sha256:") && !/^[0-9a-f]{64}$/.test(word)) {
    const entry = findNamed(readIndex(layout), word);
    if (entry)
      return { ...loadImage(layout, entry), entries: readIndex(layout).filter((e) => e.digest === entry.digest) };
  }
  if (!/^[0-9a-f]{2,64}$/.test(digits)) return undefined;
  const images = storedImages(engine);
  const exact = isDigest(word) ? images.find((image) => image.manifestDigest === word) : undefined;
  if (exact) return exact;
  const fitting = images.filter((image) => digestHex(image.id).startsWith(digits));
  const first = fitting[0];
  if (first && fitting.some((image) => image.id !== first.id)) {
    throw new TsboxError(`Cannot use image "${word}": ${fitting.length} ids start with it`, {
      code: "AMBIGUOUS_IMAGE",
      hint: "give more digits of the id",
      exitCode: 1,
    });
  }
  return first && { ...first, entries: fitting.flatMap((image) => image.entries) };
}

export function getImage(engine: Engine, word: string): StoredImage {
  const image = findImage(engine, word);
  if (!image) throw noSuchImage(word);
  return image;
}

export function noSuchImage(word: string): TsboxError {
  return new TsboxError(`Cannot find image "${word}": it is not in the store`, {
    code: "NO_SUCH_IMAGE",
    hint:
      word === "base"
        ? 'it comes with the package: the first "tsbox run base true" puts it there'
        : `"tsbox images" lists them; "tsbox pull ${word}" gets it from its registry`,
    exitCode: 1,
  });
}

/** Names that belong to tsbox: `base` comes with the package, `host` is this machine. */
export function checkNotBuiltin(name: string, action: string): void {
  if (name !== "host" && name !== "base") return;
  throw new TsboxError(`Cannot ${action} "${name}": the name is built in`, {
    code: "BUILTIN_IMAGE",
    hint:
      name === "host"
        ? `"tsbox run host COMMAND" uses this machine's own root`
        : `add a tag for another image: ${name}:TAG`,
    exitCode: 1,
  });
}
