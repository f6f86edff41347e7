import { createHash } from "node:crypto";
import type { Digest } from "./types.ts";

/** Apart from digest.ts, so that who only reads digests does not load node:crypto. */
export function digestOf(bytes: Uint8Array | string): Digest {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}
