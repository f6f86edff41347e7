import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { digestHex } from "../oci/digest.ts";
import type { ProcessPlan } from "../plan/build.ts";
import { capabilityNames } from "../plan/capabilities.ts";
import { parseSeccompProfile, type SeccompProfile, seccompWords } from "../plan/seccomp.ts";
import type { Engine } from "./engine.ts";

/** Raised when the default profile or its compiler changes, so that kept filters are made anew. */
const REVISION = 3;

/** How the names of the default profile's filters begin, also of those of earlier revisions. It lets nobody ask for keys. */
const DEFAULT_NAME = "seccomp-default";

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
  const { arch, kernel } = engine.host;
  const text = request === undefined ? "" : readProfile(request.profile);
  const name = request === undefined ? `${DEFAULT_NAME}${REVISION}` : `seccomp-${await hash(text)}-${REVISION}`;
  const path = join(engine.root, "cache", `${name}-${capabilities.toString(16)}-${arch}-${kernel}.bpf`);
  if (existsSync(path)) return path;
  const profile =
    request === undefined
      ? (await import("../plan/seccomp-default.ts")).DEFAULT_PROFILE
      : parseProfile(request.profile, text);
  const { compileSeccomp } = await import("../helper/client.ts");
  const filter = compileSeccomp(seccompWords(profile, capabilityNames(capabilities), { arch, kernel }));
  mkdirSync(join(engine.root, "cache"), { recursive: true, mode: 0o700 });
  writeFileSync(`${path}.${process.pid}`, filter, { mode: 0o600 });
  renameSync(`${path}.${process.pid}`, path);
  return path;
}

/** What of a process's plan follows from its filter. */
export function underFilter(path: string | undefined): Pick<ProcessPlan, "seccomp" | "sessionKeyring"> {
  if (path === undefined) return { sessionKeyring: true };
  return { seccomp: path, sessionKeyring: !basename(path).startsWith(DEFAULT_NAME) };
}

async function hash(text: string): Promise<string> {
  return digestHex((await import("../oci/digest-of.ts")).digestOf(text)).slice(0, 32);
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

/** The parser knows no file; the user may have named several. */
function parseProfile(path: string, text: string): SeccompProfile {
  try {
    return parseSeccompProfile(text);
  } catch (cause) {
    const { message, hint } = cause as TsboxError;
    throw new TsboxError(
      message.replace("seccomp profile", () => `seccomp profile "${path}"`),
      {
        code: "INVALID_SECCOMP_PROFILE",
        cause,
        ...(hint !== undefined && { hint }),
      },
    );
  }
}
