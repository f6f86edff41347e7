import { TsboxError, visible } from "../../base/error.ts";
import { formatPlatform, hostPlatform, platformMatches } from "../../oci/platform.ts";
import { formatReference, parseReference, type Reference } from "../../oci/reference.ts";
import type { Descriptor, Digest, Platform } from "../../oci/types.ts";
import { meanings } from "../../registry/short-names.ts";
import { readIndex, refName, SERVED_DIGEST } from "../../store/image-index.ts";
import { storeLayout } from "../../store/layout.ts";
import type { Engine } from "../engine.ts";
import { findNamed, loadImage, type StoredImage } from "../stored-image.ts";
import { lockedPlatform, readLockFile } from "./lock-file.ts";

export interface Pin {
  /** What is asked of the registry: the platform's manifest; the index where the lock does not name the platform. */
  digest: Digest;
  /** What the registry served under the tag when it was locked. */
  served: Digest;
}

/**
 * What the project's lock file says of an image: undefined when it says nothing, or when the name holds a digest and cannot drift. With --frozen
 * an image or a platform that is not locked is refused.
 */
export function pinned(engine: Engine, reference: Reference, platform: Platform = hostPlatform()): Pin | undefined {
  if (reference.digest !== undefined) return undefined;
  const { path, named, frozen } = engine.lock;
  const lock = readLockFile(path);
  const name = formatReference(reference);
  if (!lock && (named || frozen)) {
    throw new TsboxError(`Cannot use lock file "${visible(path)}": it does not exist`, {
      code: "NO_LOCK",
      hint: `"tsbox lock ${name}" makes it${named ? "" : "; --lockfile names one that is elsewhere"}`,
    });
  }
  const image = lock && Object.hasOwn(lock, name) ? lock[name] : undefined;
  if (!image) {
    if (frozen) throw notLocked(name, path, `it is not in ${visible(path)}`);
    return undefined;
  }
  const digest = lockedPlatform(image, platform);
  if (!digest && frozen) throw notLocked(name, path, `it is not locked for ${formatPlatform(platform)}`);
  return { digest: digest ?? image.digest, served: image.digest };
}

function notLocked(name: string, path: string, state: string): TsboxError {
  return new TsboxError(`Cannot use image "${name}" with --frozen: ${state}`, {
    code: "NOT_LOCKED",
    hint: `"tsbox lock --lockfile ${visible(path)} ${name}" locks it`,
  });
}

/** The store's image that a pin means, under whatever name. */
export function storedPin(engine: Engine, pin: Pin, platform: Platform = hostPlatform()): StoredImage | undefined {
  const layout = storeLayout(engine.root);
  for (const entry of readIndex(layout)) {
    if (entry.digest === pin.digest) return loadImage(layout, entry);
    if (pin.digest !== pin.served || entry.annotations?.[SERVED_DIGEST] !== pin.served) continue;
    const image = loadImage(layout, entry);
    if (platformMatches(platform, image.config)) return image;
  }
  return undefined;
}

/** With --frozen: the store's image of the name is another one than the locked one, so somebody's pull or tag would go unnoticed. */
export function checkNotDrifted(engine: Engine, name: string, pin: Pin, platform: Platform = hostPlatform()): void {
  if (!engine.lock.frozen) return;
  const layout = storeLayout(engine.root);
  const stored = findNamed(readIndex(layout), name);
  if (!stored || fits(stored, pin) || !platformMatches(platform, loadImage(layout, stored).config)) return;
  throw new TsboxError(
    `Cannot use image "${visible(name)}" with --frozen: the store's has digest ${stored.digest}, locked is ${pin.digest}`,
    {
      code: "LOCK_DRIFT",
      hint: `"tsbox pull ${name}" gets the locked one; "tsbox lock --update ${name}" locks what the registry has now`,
    },
  );
}

function fits(entry: Descriptor, pin: Pin): boolean {
  return (
    entry.digest === pin.digest || (pin.digest === pin.served && entry.annotations?.[SERVED_DIGEST] === pin.served)
  );
}

/** Of all that a short name may stand for, what is locked; everything where nothing is. */
export function lockedMeaning(engine: Engine, references: Reference[]): Reference[] {
  const lock = references.length > 1 ? readLockFile(engine.lock.path) : undefined;
  const found = lock && references.find((reference) => Object.hasOwn(lock, formatReference(reference)));
  return found ? [found] : references;
}

/** An id or digest of the store says itself what is meant; only names are looked up in the lock. */
export async function lockableName(engine: Engine, word: string): Promise<Reference | undefined> {
  if (word === "base" || word === "host" || /^(sha256:)?[0-9a-f]{64}$/.test(word)) return undefined;
  const [reference = parseReference(word)] = lockedMeaning(engine, await meanings(word, process.env));
  if (!/^[0-9a-f]{2,63}$/.test(word)) return reference;
  // the start of an id reads like a name: a name is what the store or the lock knows as one
  const full = formatReference(reference);
  const named = readIndex(storeLayout(engine.root)).some((entry) => refName(entry) === full);
  const locked = readLockFile(engine.lock.path);
  return named || (locked && Object.hasOwn(locked, full)) ? reference : undefined;
}
