import { TsboxError, visible } from "../base/error.ts";
import { isDigest } from "./digest.ts";
import { isIndexType, isManifestType } from "./media-types.ts";
import type { Descriptor, ImageConfig, Index, Manifest } from "./types.ts";

/** Largest manifest or index that is read; registries refuse larger ones too. */
export const MAX_MANIFEST_SIZE = 4 << 20;
/** Most layers of one manifest. */
export const MAX_LAYERS = 500;

/** JSON from outside, not yet trusted. */
export function parseJson(bytes: Uint8Array, what: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString("utf8"));
  } catch (cause) {
    const html = /^\s*</.test(Buffer.from(bytes.subarray(0, 100)).toString("latin1"));
    throw new TsboxError(`Cannot read ${what}: ${html ? "it is HTML, not JSON" : "it is not JSON"}`, {
      code: "INVALID_JSON",
      cause,
      ...(html && { hint: "the address is that of a web page or of a proxy's login, not of a registry" }),
    });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw refuse(what, "it is not an object");
  return value as Record<string, unknown>;
}

export function isIndex(value: Record<string, unknown>): boolean {
  return isIndexType(value.mediaType as string) || (value.mediaType === undefined && Array.isArray(value.manifests));
}

export function parseIndex(value: Record<string, unknown>, what: string): Index {
  const { manifests } = value;
  if (!Array.isArray(manifests)) throw refuse(what, `"manifests" is not a list`);
  for (const entry of manifests) checkDescriptor(entry, what);
  return value as unknown as Index;
}

export function parseManifest(value: Record<string, unknown>, what: string): Manifest {
  if (value.schemaVersion === 1) {
    throw new TsboxError(`Cannot use ${what}: it is a Docker schema 1 manifest`, {
      code: "SCHEMA_1",
      hint: "that format was dropped by everyone; push the image again with a current tool",
    });
  }
  if (value.mediaType !== undefined && !isManifestType(value.mediaType as string)) {
    throw refuse(what, `media type "${visible(String(value.mediaType))}" is not an image manifest`);
  }
  checkDescriptor(value.config, what);
  if (!Array.isArray(value.layers) || value.layers.length > MAX_LAYERS)
    throw refuse(what, `"layers" is not a list of at most ${MAX_LAYERS}`);
  for (const layer of value.layers) checkDescriptor(layer, what);
  return value as unknown as Manifest;
}

export function parseImageConfig(value: Record<string, unknown>, what: string): ImageConfig {
  const rootfs = value.rootfs as { diff_ids?: unknown } | undefined;
  if (!Array.isArray(rootfs?.diff_ids) || !rootfs.diff_ids.every(isDigest)) {
    throw refuse(what, `"rootfs.diff_ids" is not a list of digests`);
  }
  checkProcessConfig(value.config ?? {}, what);
  checkHistory(value.history ?? [], what);
  for (const name of ["architecture", "os", "variant", "created", "author"]) {
    if (value[name] != null && typeof value[name] !== "string") throw refuse(what, `"${name}" is not a string`);
  }
  return value as unknown as ImageConfig;
}

/** What reaches execve must not hold a NUL byte, which would cut it short there. */
function checkProcessConfig(value: unknown, what: string): void {
  if (!isObject(value)) throw refuse(what, `"config" is not an object`);
  const isWord = (word: unknown) => typeof word === "string" && !word.includes("\0");
  for (const name of ["Env", "Entrypoint", "Cmd", "Shell"]) {
    const words = value[name] ?? [];
    if (!Array.isArray(words) || !words.every(isWord)) throw refuse(what, `"config.${name}" is not a list of strings`);
  }
  for (const name of ["User", "WorkingDir", "StopSignal"]) {
    if (!isWord(value[name] ?? "")) throw refuse(what, `"config.${name}" is not a string`);
  }
  for (const name of ["Labels", "Volumes", "ExposedPorts"]) {
    if (!isObject(value[name] ?? {})) throw refuse(what, `"config.${name}" is not an object`);
  }
  if (!Object.values(value.Labels ?? {}).every((label) => typeof label === "string")) {
    throw refuse(what, `"config.Labels" has a value that is not a string`);
  }
}

function checkHistory(value: unknown, what: string): void {
  if (!Array.isArray(value) || !value.every(isObject)) throw refuse(what, `"history" is not a list of objects`);
  for (const step of value) {
    for (const name of ["created", "created_by", "author", "comment"]) {
      if (typeof (step[name] ?? "") !== "string") throw refuse(what, `"history" has a "${name}" that is not a string`);
    }
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function checkDescriptor(value: unknown, what: string): asserts value is Descriptor {
  const descriptor = value as Partial<Descriptor> | null;
  if (typeof descriptor !== "object" || descriptor === null) throw refuse(what, "a descriptor is missing");
  if (!isDigest(descriptor.digest)) throw refuse(what, `digest "${visible(String(descriptor.digest))}" is not sha256`);
  if (!Number.isSafeInteger(descriptor.size) || (descriptor.size as number) < 0)
    throw refuse(what, `the size of ${descriptor.digest} is not a number`);
  if (descriptor.mediaType !== undefined && typeof descriptor.mediaType !== "string")
    throw refuse(what, "a media type is not a string");
  const { urls } = descriptor;
  if (urls !== undefined && urls !== null && !(Array.isArray(urls) && urls.every((url) => typeof url === "string")))
    throw refuse(what, `the urls of ${descriptor.digest} are no list of addresses`);
}

function refuse(what: string, why: string): TsboxError {
  return new TsboxError(`Cannot use ${what}: ${why}`, { code: "INVALID_IMAGE" });
}
