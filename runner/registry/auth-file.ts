import { readFileSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeFileAtomic } from "../base/atomic-write.ts";
import { TsboxError } from "../base/error.ts";
import { makeFolder } from "../base/make-folder.ts";
import { lock, unlock } from "../sys/native.ts";

/** One registry's, or one repository's, entry. */
export interface AuthEntry {
  /** Base64 of `NAME:PASSWORD`. */
  auth?: string;
  username?: string;
  password?: string;
  /** A token that the token server gives access tokens for (docker's OAuth2 logins). */
  identitytoken?: string;
  /** A token that is sent as it is. */
  registrytoken?: string;
}

/** What docker's config.json and podman's auth.json have in common; whatever else stands there is kept. */
export interface AuthFile {
  auths?: Record<string, AuthEntry>;
  /** Registry → NAME of the program docker-credential-NAME. */
  credHelpers?: Record<string, string>;
  /** The same for every registry. */
  credsStore?: string;
}

export interface AuthPaths {
  /** Where `login` writes. */
  primary: string;
  /** Where credentials are looked for, in order. */
  read: string[];
  docker: string;
}

/** An explicit file, by flag or environment, is the only one; otherwise podman's, then docker's (containers-auth.json(5)). */
export function authPaths(authfile: string | undefined, env: NodeJS.ProcessEnv): AuthPaths {
  const home = env.HOME ?? "";
  const config = join(env.XDG_CONFIG_HOME || join(home, ".config"), "containers/auth.json");
  const docker = join(env.DOCKER_CONFIG || join(home, ".docker"), "config.json");
  const explicit = authfile ?? env.REGISTRY_AUTH_FILE;
  if (explicit) return { primary: explicit, read: [explicit], docker };
  const runtime = env.XDG_RUNTIME_DIR ? join(env.XDG_RUNTIME_DIR, "containers/auth.json") : undefined;
  return {
    primary: runtime ?? config,
    read: [...(runtime === undefined ? [] : [runtime]), config, docker],
    docker,
  };
}

const STATES: Record<string, string> = {
  EACCES: "permission denied",
  EISDIR: "it is a folder",
  ENOSPC: "the disk is full",
  ENOTDIR: "its folder is a file",
  EROFS: "the file system is read-only",
};

/** A file's content; empty when there is none. */
export function readAuthFile(path: string): AuthFile {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") return {};
    throw new TsboxError(`Cannot read credentials of "${path}": ${STATES[code ?? ""] ?? code}`, {
      code: "AUTH_FILE",
      cause,
      exitCode: 1,
    });
  }
  try {
    const value: unknown = text.trim() === "" ? {} : JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as AuthFile;
  } catch {
    // told below, without the parser's words: they would quote the file
  }
  throw new TsboxError(`Cannot read credentials of "${path}": it is not a JSON object`, {
    code: "AUTH_FILE",
    hint: "mend or remove it",
    exitCode: 1,
  });
}

/** Changes a file in one step, while no other login does; nobody but its owner can read it. A link to it stays one. */
export async function changeAuthFile(path: string, change: (content: AuthFile) => AuthFile): Promise<void> {
  let held: number | undefined;
  try {
    makeFolder(dirname(path), 0o700);
    held = await lock(`${path}.lock`);
    const content = change(readAuthFile(path));
    writeFileAtomic(target(path), `${JSON.stringify(content, undefined, "\t")}\n`, 0o600);
  } catch (cause) {
    if (cause instanceof TsboxError) throw cause;
    const { code = "" } = cause as NodeJS.ErrnoException;
    throw new TsboxError(`Cannot write credentials to "${path}": ${STATES[code] ?? code}`, {
      code: "AUTH_FILE",
      hint: "name another file with --authfile",
      cause,
      exitCode: 1,
    });
  } finally {
    if (held !== undefined) unlock(held);
  }
}

function target(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

const DOCKER_HUB = "https://index.docker.io/v1/";

/** The keys under which a registry, or one of its repositories, may stand: the narrowest first, then forms of old. */
export function authKeys(domain: string, path = ""): string[] {
  const parts = path === "" ? [] : path.split("/");
  const keys = [...parts.keys()].reverse().map((i) => `${domain}/${parts.slice(0, i + 1).join("/")}`);
  const hub = domain === "docker.io" ? [DOCKER_HUB, "index.docker.io", "registry-1.docker.io"] : [];
  return [
    ...keys,
    domain,
    `https://${domain}`,
    `http://${domain}`,
    `https://${domain}/v2/`,
    `https://${domain}/v1/`,
    ...hub,
  ];
}

/** What docker writes, and its credential helpers know, a registry by. */
export function dockerKey(domain: string): string {
  return domain === "docker.io" ? DOCKER_HUB : domain;
}

/** Name and password of an entry, or its token; undefined when it says neither (a helper keeps them). */
export function entryCredentials(
  entry: AuthEntry | undefined,
): { username: string; password: string; identityToken?: string; bearer?: string } | undefined {
  if (typeof entry !== "object" || entry === null) return undefined;
  if (entry.registrytoken) return { username: "", password: "", bearer: entry.registrytoken };
  const [name, ...rest] = Buffer.from(entry.auth ?? "", "base64")
    .toString("utf8")
    .split(":");
  const pair = entry.auth
    ? { username: name ?? "", password: rest.join(":") }
    : { username: entry.username ?? "", password: entry.password ?? "" };
  if (entry.identitytoken) return { ...pair, identityToken: entry.identitytoken };
  return pair.username !== "" && pair.password !== "" ? pair : undefined;
}
