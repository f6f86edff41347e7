import { readFileSync } from "node:fs";
import { writeFileAtomic } from "../../base/atomic-write.ts";
import { TsboxError, visible } from "../../base/error.ts";
import { isDigest } from "../../oci/digest.ts";
import { formatPlatform, parsePlatform } from "../../oci/platform.ts";
import { formatReference, parseReference } from "../../oci/reference.ts";
import type { Digest, Platform } from "../../oci/types.ts";

/** What a tag is pinned to. */
export interface LockedImage {
  /** What the registry served under the tag: an index, or the manifest itself. */
  digest: Digest;
  /** The manifest for each platform, by `os/architecture[/variant]`. */
  platforms: Record<string, Digest>;
}

/** Names in full (`docker.io/library/alpine:3.20`), since a short one may mean another registry on another machine. */
export type LockFile = Record<string, LockedImage>;

const VERSION = 1;

/** Undefined when there is none. */
export function readLockFile(path: string): LockFile | undefined {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw new TsboxError(`Cannot read lock file "${visible(path)}": ${(cause as Error).message}`, { cause });
  }
  return parseLockFile(text, path);
}

export function parseLockFile(text: string, path: string): LockFile {
  const refuse = (why: string, hint = '"tsbox lock IMAGE…" writes a new one once it is removed') =>
    new TsboxError(`Cannot use lock file "${visible(path)}": ${why}`, { code: "INVALID_LOCK", hint });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw /^<{7}|^>{7}/m.test(text)
      ? refuse("it has merge conflicts", "keep one side of each, or remove the file and lock the images again")
      : refuse("it is not JSON");
  }
  if (!isObject(value)) throw refuse("it is not an object");
  if (value.version !== VERSION) {
    throw refuse(
      `it has version ${visible(JSON.stringify(value.version) ?? "none")}, this tsbox reads ${VERSION}`,
      "a newer tsbox wrote it: use that one",
    );
  }
  if (!isObject(value.images)) throw refuse('"images" is not an object');
  const lock: LockFile = {};
  for (const [name, image] of Object.entries(value.images)) {
    const shown = visible(name);
    if (!isFullName(name)) throw refuse(`"${shown}" is not a full image name with a tag`);
    if (!isObject(image) || !isDigest(image.digest) || !isObject(image.platforms)) {
      throw refuse(`"${shown}" needs a "digest" and "platforms"`);
    }
    const platforms: Record<string, Digest> = {};
    for (const [platform, digest] of Object.entries(image.platforms)) {
      if (!isPlatform(platform)) throw refuse(`"${shown}" names the platform "${visible(platform)}"`);
      if (!isDigest(digest)) throw refuse(`"${shown}" has no digest for ${platform}`);
      platforms[platform] = digest;
    }
    lock[name] = { digest: image.digest, platforms };
  }
  return lock;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isFullName(name: string): boolean {
  try {
    return formatReference(parseReference(name)) === name && !name.includes("@");
  } catch {
    return false;
  }
}

export function isPlatform(text: string): boolean {
  try {
    return formatPlatform(parsePlatform(text)) === text;
  } catch {
    return false;
  }
}

/** Sorted and one digest a line, so that a change of one image is a change of few lines. */
export function formatLockFile(lock: LockFile): string {
  const sorted = <T>(record: Record<string, T>): [string, T][] =>
    Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1));
  const images = sorted(lock).map(([name, { digest, platforms }]) => [
    name,
    { digest, platforms: Object.fromEntries(sorted(platforms)) },
  ]);
  return `${JSON.stringify({ version: VERSION, images: Object.fromEntries(images) }, null, 2)}\n`;
}

export function writeLockFile(path: string, lock: LockFile): void {
  try {
    writeFileAtomic(path, formatLockFile(lock), 0o644);
  } catch (cause) {
    throw new TsboxError(`Cannot write lock file "${visible(path)}": ${(cause as Error).message}`, { cause });
  }
}

/** The digest of a locked image's manifest for a platform; undefined when the lock names none. */
export function lockedPlatform(image: LockedImage, want: Platform): Digest | undefined {
  const exact = image.platforms[formatPlatform(want)];
  if (exact) return exact;
  const fitting = Object.keys(image.platforms).filter((text) => {
    const have = parsePlatform(text);
    return (
      have.os === want.os &&
      have.architecture === want.architecture &&
      (!have.variant || !want.variant || have.variant === want.variant)
    );
  });
  return image.platforms[fitting[0] ?? ""];
}
