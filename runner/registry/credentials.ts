import { TsboxError } from "../base/error.ts";
import { type AuthFile, authKeys, authPaths, dockerKey, entryCredentials, readAuthFile } from "./auth-file.ts";

/** What is sent to a registry or its token server, never logged. */
export interface Credentials {
  username: string;
  password: string;
  /** Instead of a password: what the token server gives access tokens for. */
  identityToken?: string;
  /** Instead of all: sent as it is. */
  bearer?: string;
}

/** Runs `docker-credential-NAME ACTION` with `input`; secrets pass through pipes, never through arguments. */
export type CredentialProgram = (
  name: string,
  action: "get" | "store" | "erase",
  input: string,
) => Promise<{ code: number; stdout: string }>;

export interface CredentialSources {
  authfile?: string | undefined;
  env: NodeJS.ProcessEnv;
  program?: CredentialProgram | undefined;
}

/** How helpers tell that the secret is an identity token. */
const TOKEN_USER = "<token>";

/** The stored credentials for a registry; those of a repository (`host/path`, the longest that fits) come first. */
export async function findCredentials(
  domain: string,
  path: string,
  sources: CredentialSources,
): Promise<Credentials | undefined> {
  for (const file of authFiles(sources)) {
    const helper = file.credHelpers?.[domain] ?? file.credHelpers?.[dockerKey(domain)];
    if (helper !== undefined) {
      const found = await askHelper(helper, domain, sources);
      if (found) return found;
    }
    for (const key of authKeys(domain, path)) {
      const found = entryCredentials(file.auths?.[key]);
      if (found) return found;
    }
    if (file.credsStore) {
      const found = await askHelper(file.credsStore, domain, sources);
      if (found) return found;
    }
  }
  return undefined;
}

/** DOCKER_AUTH_CONFIG has a file's content itself: CI systems keep it among their secrets. */
function authFiles({ authfile, env }: CredentialSources): AuthFile[] {
  const files = authPaths(authfile, env).read.map(readAuthFile);
  if (authfile !== undefined || !env.DOCKER_AUTH_CONFIG) return files;
  try {
    return [JSON.parse(env.DOCKER_AUTH_CONFIG) as AuthFile, ...files];
  } catch {
    throw new TsboxError("Cannot read DOCKER_AUTH_CONFIG: it is not JSON", { code: "AUTH_FILE" });
  }
}

async function askHelper(name: string, domain: string, sources: CredentialSources): Promise<Credentials | undefined> {
  const { code, stdout } = await runHelper(sources.program, name, "get", dockerKey(domain));
  if (code !== 0) {
    // the protocol's own words for "there are none"
    if (/credentials not found/i.test(stdout)) return undefined;
    throw helperError(name, "get", domain, `it ended with status ${code}`);
  }
  try {
    const { Username, Secret } = JSON.parse(stdout) as { Username?: unknown; Secret?: unknown };
    if (typeof Username === "string" && typeof Secret === "string") {
      return Username === TOKEN_USER
        ? { username: "", password: "", identityToken: Secret }
        : { username: Username, password: Secret };
    }
  } catch {
    // told below, without its words
  }
  throw helperError(name, "get", domain, "its answer is not what the protocol says");
}

export async function runHelper(
  program: CredentialProgram | undefined,
  name: string,
  action: "get" | "store" | "erase",
  input: string,
): Promise<{ code: number; stdout: string }> {
  if (!/^[\w.-]+$/.test(name) || program === undefined) {
    throw new TsboxError(`Cannot use credential helper ${JSON.stringify(name)}: it is not a program's name`, {
      code: "CREDENTIAL_HELPER",
    });
  }
  return program(name, action, input);
}

export function helperError(name: string, action: string, domain: string, why: string): TsboxError {
  return new TsboxError(`Cannot ${action} credentials of ${domain}: docker-credential-${name}: ${why}`, {
    code: "CREDENTIAL_HELPER",
    hint: "credHelpers or credsStore of ~/.docker/config.json or containers/auth.json names it",
    exitCode: 1,
  });
}
