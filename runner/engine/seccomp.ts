import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { compileSeccomp } from "../helper/client.ts";
import { capabilityNames } from "../plan/capabilities.ts";
import { parseSeccompProfile, seccompWords } from "../plan/seccomp.ts";
import type { Engine } from "./engine.ts";

/** Raised when the default profile or its compiler changes, so that kept filters are made anew. */
const DEFAULT_REVISION = 1;

/**
 * File of the filter for these capabilities. Compiled filters are kept in the store: a run finds its own by name
 * without looking at the profile.
 */
export async function seccompFilter(
  engine: Engine,
  capabilities: bigint,
  request?: "unconfined" | { profile: string },
): Promise<string | undefined> {
  if (request === "unconfined") return undefined;
  const text = request === undefined ? `default ${DEFAULT_REVISION}` : readProfile(request.profile);
  const { arch, kernel } = engine.host;
  const key = createHash("sha256")
    .update(JSON.stringify([text, capabilities.toString(16), arch, kernel]))
    .digest("hex");
  const path = join(engine.root, "cache", `seccomp-${key.slice(0, 32)}.bpf`);
  if (existsSync(path)) return path;
  const profile =
    request === undefined ? (await import("../plan/seccomp-default.ts")).DEFAULT_PROFILE : parseSeccompProfile(text);
  const filter = compileSeccomp(seccompWords(profile, capabilityNames(capabilities), { arch, kernel }));
  mkdirSync(join(engine.root, "cache"), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.${process.pid}`, filter, { mode: 0o600 });
  renameSync(`${path}.${process.pid}`, path);
  return path;
}

function readProfile(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new TsboxError(`Cannot read seccomp profile "${path}": ${(cause as NodeJS.ErrnoException).code}`, {
      code: "NO_SECCOMP_PROFILE",
      cause,
    });
  }
}
