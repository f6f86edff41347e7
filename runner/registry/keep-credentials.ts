import { type AuthFile, authKeys, authPaths, changeAuthFile, dockerKey, readAuthFile } from "./auth-file.ts";
import { type CredentialSources, type Credentials, helperError, runHelper } from "./credentials.ts";

export interface KeepSources extends CredentialSources {
  /** A file in docker's form, and with docker's names, to write to instead. */
  compatAuthfile?: string | undefined;
}

/** What a login is for: a registry, or a part of it (`HOST/TEAM`). */
export interface LoginTarget {
  domain: string;
  /** Empty: all of the registry. */
  path: string;
}

export function targetName({ domain, path }: LoginTarget): string {
  return path === "" ? domain : `${domain}/${path}`;
}

/** Stores credentials in the file that is for it, or with the program that this file names. Returns where they went. */
export async function keepCredentials(
  target: LoginTarget,
  { username, password }: Credentials,
  sources: KeepSources,
): Promise<string> {
  const { path, docker } = chooseFile(target, sources);
  const key = docker && target.path === "" ? dockerKey(target.domain) : targetName(target);
  const helper = helperOf(readAuthFile(path), target);
  let entry = {};
  if (helper === undefined) {
    entry = { auth: Buffer.from(`${username}:${password}`).toString("base64") };
  } else {
    const input = JSON.stringify({ ServerURL: dockerKey(target.domain), Username: username, Secret: password });
    const { code } = await runHelper(sources.program, helper, "store", input);
    if (code !== 0) throw helperError(helper, "store", target.domain, `it ended with status ${code}`);
  }
  // an empty entry says that a helper has it
  await changeAuthFile(path, (content) => ({ ...content, auths: { ...content.auths, [key]: entry } }));
  return helper === undefined ? path : `docker-credential-${helper}`;
}

/** Removes what is stored, wherever it would be found. Returns the places it was in. */
export async function dropCredentials(target: LoginTarget, sources: KeepSources): Promise<string[]> {
  const { compatAuthfile, authfile, env } = sources;
  const places: string[] = [];
  for (const path of compatAuthfile === undefined ? authPaths(authfile, env).read : [compatAuthfile]) {
    const content = readAuthFile(path);
    const helper = helperOf(content, target);
    if (helper !== undefined && (await eraseFrom(helper, target.domain, sources))) {
      places.push(`docker-credential-${helper}`);
    }
    const keys = keysOf(target).filter((key) => Object.hasOwn(content.auths ?? {}, key));
    if (keys.length === 0) continue;
    await changeAuthFile(path, (now) => ({ ...now, auths: withoutKeys(now.auths, keys) }));
    places.push(path);
  }
  return places;
}

/** Removes everything of the file that `login` writes to; its helpers forget what they have for it. */
export async function dropAllCredentials(sources: KeepSources): Promise<string> {
  const { compatAuthfile, authfile, env } = sources;
  const path = compatAuthfile ?? authPaths(authfile, env).primary;
  const content = readAuthFile(path);
  const domains = new Set([
    ...Object.keys(content.credHelpers ?? {}),
    ...(content.credsStore ? Object.keys(content.auths ?? {}) : []),
  ]);
  for (const domain of domains) {
    const helper = content.credHelpers?.[domain] ?? content.credsStore;
    if (helper !== undefined) await eraseFrom(helper, domain, sources);
  }
  if (content.auths !== undefined) await changeAuthFile(path, (now) => ({ ...now, auths: {} }));
  return path;
}

/**
 * A file that was asked for; docker's, where that has an entry or a helper for the registry, or keeps no secrets itself, and ours has no entry, which would be
 * found first; otherwise ours.
 */
function chooseFile(target: LoginTarget, sources: KeepSources): { path: string; docker: boolean } {
  const { compatAuthfile, authfile, env } = sources;
  if (compatAuthfile !== undefined) return { path: compatAuthfile, docker: true };
  const { primary, read, docker } = authPaths(authfile, env);
  if (!read.includes(docker) || primary === docker) return { path: primary, docker: primary === docker };
  const knows = (content: AuthFile) =>
    keysOf(target).some(
      (key) => Object.hasOwn(content.auths ?? {}, key) || Object.hasOwn(content.credHelpers ?? {}, key),
    );
  const dockers = readAuthFile(docker);
  const its = (knows(dockers) || dockers.credsStore) && !knows(readAuthFile(primary));
  return its ? { path: docker, docker: true } : { path: primary, docker: false };
}

function keysOf(target: LoginTarget): string[] {
  return target.path === "" ? authKeys(target.domain) : [targetName(target)];
}

/** Helpers know whole registries only. */
function helperOf(content: AuthFile, { domain, path }: LoginTarget): string | undefined {
  if (path !== "") return undefined;
  return content.credHelpers?.[domain] ?? content.credHelpers?.[dockerKey(domain)] ?? (content.credsStore || undefined);
}

async function eraseFrom(helper: string, domain: string, { program }: KeepSources): Promise<boolean> {
  const key = dockerKey(domain);
  if ((await runHelper(program, helper, "get", key)).code !== 0) return false;
  const { code } = await runHelper(program, helper, "erase", key);
  if (code !== 0) throw helperError(helper, "erase", domain, `it ended with status ${code}`);
  return true;
}

function withoutKeys<T>(entries: Record<string, T> = {}, keys: string[]): Record<string, T> {
  return Object.fromEntries(Object.entries(entries).filter(([key]) => !keys.includes(key)));
}
