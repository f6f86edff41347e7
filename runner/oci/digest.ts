import { TsboxError, visible } from "../base/error.ts";
import type { Digest } from "./types.ts";

const PATTERN = /^sha256:[0-9a-f]{64}$/;

export function isDigest(text: unknown): text is Digest {
  return typeof text === "string" && PATTERN.test(text);
}

/** A digest from outside; anything but sha256 is refused, since nothing else is in use. */
export function parseDigest(text: string): Digest {
  if (isDigest(text)) return text;
  throw new TsboxError(`Cannot use digest "${visible(text)}": expected "sha256:" and 64 hexadecimal digits`, {
    code: "INVALID_DIGEST",
  });
}

/** The 64 digits alone: the name of a blob's file. */
export function digestHex(digest: Digest): string {
  return digest.slice("sha256:".length);
}
