import { TsboxError, visible } from "../base/error.ts";
import { authPaths, readAuthFile } from "../registry/auth-file.ts";
import { findCredentials } from "../registry/credentials.ts";
import {
  dropAllCredentials,
  dropCredentials,
  keepCredentials,
  type LoginTarget,
  targetName,
} from "../registry/keep-credentials.ts";
import type { ConnectionOptions } from "../registry/options.ts";
import { RegistryError } from "../registry/registry-error.ts";
import { searchedRegistries } from "../registry/search.ts";
import { verifyLogin } from "../registry/verify-login.ts";
import { registryOptions } from "./registry-options.ts";

export interface LoginRequest {
  /** Absent: the first one of registries.conf, or Docker Hub. */
  registry?: string;
  username?: string;
  password?: string;
  /** Asks the person at the keyboard for what is missing. */
  ask: { username(known: string | undefined): Promise<string>; password(): Promise<string> };
  connection?: ConnectionOptions;
  /** A file in docker's form to write to. */
  compatAuthfile?: string;
  signal?: AbortSignal;
}

export interface LoggedIn {
  registry: string;
  /** File or helper; absent: stored credentials are still good. */
  keptIn?: string;
}

/** Has a registry verify a name and a password, and stores them. */
export async function login(request: LoginRequest): Promise<LoggedIn> {
  const target = await loginTarget(request.registry);
  const options = registryOptions(request.connection, request.signal);
  const sources = sourcesOf(request);
  // a file that cannot be read would be told only after the password was typed
  readAuthFile(request.compatAuthfile ?? authPaths(sources.authfile, sources.env).primary);
  const known = request.password === undefined ? await findCredentials(target.domain, target.path, sources) : undefined;
  if (known && request.username === undefined) {
    try {
      await verifyLogin(target.domain, known, options);
      return { registry: targetName(target) };
    } catch (error) {
      if (!(error instanceof RegistryError) || (error.status !== 401 && error.status !== 403)) throw error;
    }
  }
  const username = request.username ?? (await request.ask.username(known?.username || undefined));
  const password = request.password ?? (await request.ask.password());
  if (username === "" || password === "") {
    throw new TsboxError(
      `Cannot log in to ${targetName(target)}: ${username === "" ? "the name" : "the password"} is empty`,
      {
        code: "NO_CREDENTIALS",
        exitCode: 1,
      },
    );
  }
  await verifyLogin(target.domain, { username, password }, options);
  return { registry: targetName(target), keptIn: await keepCredentials(target, { username, password }, sources) };
}

type Stored = Pick<LoginRequest, "connection" | "compatAuthfile">;

/** Who is logged in; undefined: nobody. */
export async function loggedInAs(registry: string | undefined, where: Stored): Promise<string | undefined> {
  const target = await loginTarget(registry);
  const found = await findCredentials(target.domain, target.path, sourcesOf(where));
  return found && (found.username || "<token>");
}

/** Forgets the credentials of a registry; `places` is empty when there were none. */
export async function logout(
  registry: string | undefined,
  where: Stored,
): Promise<{ registry: string; places: string[] }> {
  const target = await loginTarget(registry);
  return { registry: targetName(target), places: await dropCredentials(target, sourcesOf(where)) };
}

/** Forgets those of all registries. Returns the file. */
export function logoutAll(where: Stored): Promise<string> {
  return dropAllCredentials(sourcesOf(where));
}

function sourcesOf({ connection, compatAuthfile }: Stored) {
  const { credentialProgram: program } = registryOptions();
  return { authfile: connection?.authfile, compatAuthfile, env: process.env, program };
}

/** People paste addresses; and Docker Hub has several names. */
async function loginTarget(word: string | undefined): Promise<LoginTarget> {
  const given = word ?? (await searchedRegistries(process.env))[0] ?? "docker.io";
  const name = given.replace(/^https?:\/\//, "").replace(/\/(v[12]\/?)?$/, "");
  const slash = name.indexOf("/");
  const domain = slash < 0 ? name : name.slice(0, slash);
  const path = slash < 0 ? "" : name.slice(slash + 1);
  if (!/^([a-z0-9]([a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:]+\])(:\d+)?$/i.test(domain) || !/^[a-z0-9/._-]*$/.test(path)) {
    throw new TsboxError(`Cannot use registry "${visible(given)}": it is not of the form HOST[:PORT][/PATH]`, {
      code: "INVALID_REFERENCE",
      exitCode: 1,
    });
  }
  const hub = ["index.docker.io", "registry-1.docker.io", "registry.hub.docker.com"].includes(domain);
  return { domain: hub ? "docker.io" : domain, path };
}
