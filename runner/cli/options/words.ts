/** Values that are one word: checked for form, nothing more. */

import { posix } from "node:path";
import { UsageError } from "../usage-error.ts";

export function parseName(text: string): string {
  if (/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/.test(text) && text.length <= 128) return text;
  throw new UsageError("a name begins with a letter or digit and goes on with letters, digits, _ . or -");
}

export function parseHostname(text: string): string {
  // 64 bytes is the kernel's limit; the letters are those of docker.
  if (text.length <= 64 && /^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$/.test(text)) return text;
  throw new UsageError("a host name has at most 64 letters, digits, . and -");
}

export function parseUser(text: string): string {
  if (/^[^:\s]+(:[^:\s]+)?$/.test(text)) return text;
  throw new UsageError("expected UID[:GID] or NAME[:GROUP]");
}

export function parseWorkdir(text: string): string {
  if (text.startsWith("/")) return posix.normalize(text);
  throw new UsageError("the working directory must be an absolute path in the container");
}

/** A word, or a JSON list of words as podman takes it; empty resets the image's entrypoint. */
export function parseEntrypoint(text: string): string[] {
  if (text === "") return [];
  if (!text.startsWith("[")) return [text];
  const list = readJson(text);
  if (Array.isArray(list) && list.every((word) => typeof word === "string")) return list;
  // "[" is a program, too.
  if (text === "[") return [text];
  throw new UsageError("a JSON entrypoint is a list of strings");
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
