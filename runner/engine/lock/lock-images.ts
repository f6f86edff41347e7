import { TsboxError, visible } from "../../base/error.ts";
import { formatPlatform } from "../../oci/platform.ts";
import { formatReference, parseReference, type Reference } from "../../oci/reference.ts";
import type { Descriptor, Digest, Platform } from "../../oci/types.ts";
import {
  isIndex,
  MAX_MANIFEST_SIZE,
  parseImageConfig,
  parseIndex,
  parseJson,
  parseManifest,
} from "../../oci/validate.ts";
import { RegistryClient } from "../../registry/client.ts";
import type { ConnectionOptions } from "../../registry/options.ts";
import { RegistryError } from "../../registry/registry-error.ts";
import { meanings } from "../../registry/short-names.ts";
import { putBlobStream } from "../../store/blob-store.ts";
import { readBlob } from "../../store/blobs.ts";
import { readIndex, SERVED_DIGEST } from "../../store/image-index.ts";
import { openInbox } from "../../store/inbox.ts";
import { makeStore, storeLayout } from "../../store/layout.ts";
import { lock as acquire, unlock } from "../../sys/native.ts";
import type { Engine } from "../engine.ts";
import { checkIsImage } from "../image-layers.ts";
import { registryOptions } from "../registry-options.ts";
import { checkNotBuiltin, findNamed, loadImage } from "../stored-image.ts";
import { isPlatform, type LockedImage, type LockFile, readLockFile, writeLockFile } from "./lock-file.ts";
import { offlineError } from "./offline.ts";
import { lockedMeaning } from "./pinned.ts";

export interface LockRequest {
  /** Names; none: all that are locked. */
  names: string[];
  /** Ask the registry again for images that are locked already. */
  update: boolean;
  /** Only these; default: every platform that the registry offers. */
  platforms: Platform[];
  /** Say what would change, and change nothing. */
  dryRun: boolean;
  connection?: ConnectionOptions;
  signal?: AbortSignal;
}

export type LockChange = "added" | "updated" | "unchanged";

export interface LockResult {
  name: string;
  change: LockChange;
  image: LockedImage;
  /** What was locked before. */
  before?: LockedImage;
}

/** Pins images in the project's lock file. What is locked stays as it is unless an update is asked for, as with `npm install` and `cargo build`. */
export async function lockImages(engine: Engine, request: LockRequest): Promise<LockResult[]> {
  const { path } = engine.lock;
  const present = readLockFile(path);
  if (!present && request.names.length === 0) throw noLock(path);
  const names = request.names.length > 0 ? request.names : Object.keys(present ?? {}).sort();
  const results: LockResult[] = [];
  for (const word of names) {
    checkLockable(word);
    const meant = lockedMeaning(engine, await meanings(word, process.env));
    const known = formatReference(meant[0] as Reference);
    const before = present && Object.hasOwn(present, known) ? present[known] : undefined;
    if (before && !request.update && request.platforms.every((platform) => hasPlatform(before, platform))) {
      results.push({ name: known, change: "unchanged", image: before, before });
      continue;
    }
    request.signal?.throwIfAborted();
    const { name, image } = await firstFound(meant, (reference) => wantedImage(engine, reference, request, before));
    const same = before && JSON.stringify(normal(before)) === JSON.stringify(normal(image));
    results.push({ name, image, change: same ? "unchanged" : before ? "updated" : "added", ...(before && { before }) });
  }
  if (!request.dryRun && results.some(({ change }) => change !== "unchanged")) {
    await changeLockFile(engine, (lock) => {
      for (const { name, image } of results) lock[name] = image;
    });
  }
  return results;
}

/** As pull does: a short name is the first of its meanings that a registry has. */
async function firstFound(
  references: Reference[],
  find: (reference: Reference) => Promise<LockedImage>,
): Promise<{ name: string; image: LockedImage }> {
  let refusal: unknown;
  for (const reference of references) {
    try {
      return { name: formatReference(reference), image: await find(reference) };
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      refusal ??= error;
    }
  }
  throw refusal;
}

/** Takes names out of the lock file. */
export async function unlockImages(engine: Engine, words: string[]): Promise<string[]> {
  const present = readLockFile(engine.lock.path);
  if (!present) throw noLock(engine.lock.path);
  const names: string[] = [];
  for (const word of words) {
    checkLockable(word);
    names.push(formatReference(lockedMeaning(engine, await meanings(word, process.env))[0] as Reference));
  }
  const missing = names.find((name) => !Object.hasOwn(present, name));
  if (missing !== undefined) {
    throw new TsboxError(`Cannot unlock "${missing}": it is not in ${visible(engine.lock.path)}`, {
      code: "NOT_LOCKED",
    });
  }
  await changeLockFile(engine, (lock) => {
    for (const name of names) delete lock[name];
  });
  return names;
}

/** Read, changed and written while no other tsbox of this store does. */
async function changeLockFile(engine: Engine, change: (lock: LockFile) => void): Promise<void> {
  const layout = storeLayout(engine.root);
  makeStore(layout);
  const held = await acquire(layout.lock("lock-file"));
  try {
    const lock = readLockFile(engine.lock.path) ?? {};
    change(lock);
    writeLockFile(engine.lock.path, lock);
  } finally {
    unlock(held);
  }
}

function noLock(path: string): TsboxError {
  return new TsboxError(`Cannot use lock file "${visible(path)}": it does not exist`, {
    code: "NO_LOCK",
    hint: '"tsbox lock IMAGE…" makes it',
  });
}

/** A name with a digest needs no lock; a built-in one has no registry. */
function checkLockable(word: string): void {
  checkNotBuiltin(word, "lock");
  if (parseReference(word).digest !== undefined) {
    throw new TsboxError(`Cannot lock "${visible(word)}": its digest pins it already`, {
      code: "INVALID_REFERENCE",
      hint: "lock the tag instead",
    });
  }
}

function hasPlatform(image: LockedImage, platform: Platform): boolean {
  return Object.hasOwn(image.platforms, formatPlatform(platform));
}

function normal({ digest, platforms }: LockedImage): unknown {
  return [digest, Object.entries(platforms).sort()];
}

async function wantedImage(
  engine: Engine,
  reference: Reference,
  request: LockRequest,
  before: LockedImage | undefined,
): Promise<LockedImage> {
  // another platform of a locked image is that of the locked index, not of what the tag means today
  const kept = request.update ? undefined : before;
  const image = engine.lock.offline
    ? storedImage(engine, reference)
    : await servedImage(engine, reference, kept?.digest, request);
  if (request.platforms.length === 0) return image;
  const platforms: Record<string, Digest> = { ...kept?.platforms };
  for (const want of request.platforms) {
    const digest = image.platforms[formatPlatform(want)];
    if (!digest) {
      throw new TsboxError(
        `Cannot lock "${formatReference(reference)}" for ${formatPlatform(want)}: it has ${Object.keys(image.platforms).join(", ")}`,
        { code: "NO_PLATFORM" },
      );
    }
    platforms[formatPlatform(want)] = digest;
  }
  return { ...image, platforms };
}

/** --offline: what the store has under the name, which is one platform. */
function storedImage(engine: Engine, reference: Reference): LockedImage {
  const layout = storeLayout(engine.root);
  const name = formatReference(reference);
  const entry = findNamed(readIndex(layout), name);
  if (!entry) throw offlineError(name, "lock");
  const digest = (entry.annotations?.[SERVED_DIGEST] as Digest | undefined) ?? entry.digest;
  return { digest, platforms: { [formatPlatform(loadImage(layout, entry).config)]: entry.digest } };
}

async function servedImage(
  engine: Engine,
  reference: Reference,
  digest: Digest | undefined,
  request: LockRequest,
): Promise<LockedImage> {
  const client = new RegistryClient(reference, registryOptions(request.connection, request.signal));
  try {
    const served = await client.manifest(digest);
    const what = `manifest of "${formatReference(reference)}"`;
    const value = parseJson(served.bytes, what);
    const platforms: Record<string, Digest> = {};
    if (isIndex(value)) {
      for (const entry of parseIndex(value, what).manifests) {
        // attestations say "unknown"; of two for one platform the first is what pull chooses
        if (!entry.platform || entry.platform.os === "unknown" || entry.artifactType) continue;
        const platform = formatPlatform(entry.platform);
        if (isPlatform(platform)) platforms[platform] ??= entry.digest;
      }
      if (Object.keys(platforms).length > 0) return { digest: served.digest, platforms };
    }
    const only = isIndex(value) ? (parseIndex(value, what).manifests[0] as Descriptor) : undefined;
    const bytes = only ? (await client.manifest(only.digest)).bytes : served.bytes;
    const manifest = parseManifest(parseJson(bytes, what), what);
    checkIsImage(manifest, what);
    const platform = await configPlatform(engine, client, manifest.config);
    return { digest: served.digest, platforms: { [formatPlatform(platform)]: only?.digest ?? served.digest } };
  } finally {
    client.close();
  }
}

/** A manifest alone does not say its platform: its config does. It is verified, and not kept. */
async function configPlatform(engine: Engine, client: RegistryClient, descriptor: Descriptor): Promise<Platform> {
  const what = `image config ${descriptor.digest}`;
  if (descriptor.size > MAX_MANIFEST_SIZE) {
    throw new TsboxError(`Cannot use ${what}: ${descriptor.size} bytes is too large for a config`);
  }
  const layout = storeLayout(engine.root);
  makeStore(layout);
  const inbox = openInbox(layout);
  try {
    const { stream } = await client.blob(descriptor);
    await putBlobStream(inbox.layout, stream, descriptor.digest);
    const config = parseImageConfig(parseJson(readBlob(inbox.layout, descriptor.digest), what), what);
    return { os: config.os, architecture: config.architecture, ...(config.variant && { variant: config.variant }) };
  } finally {
    inbox.release();
  }
}
