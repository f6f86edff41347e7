import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { visible } from "../base/error.ts";
import { DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "../oci/media-types.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import { type Credentials, findCredentials } from "./credentials.ts";
import { RegistryError, statusError } from "./registry-error.ts";
import { type Answer, readBody, Transport } from "./transport.ts";

const MAX_MANIFEST_SIZE = 4 << 20;
const MAX_ERROR_SIZE = 64 << 10;
const MAX_TRIES = 4;
const ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(", ");

export interface RegistryOptions {
  tlsVerify?: boolean;
  /** Ends every request and transfer of this client. */
  signal?: AbortSignal;
  env?: NodeJS.ProcessEnv;
  /** Milliseconds before the first new try; doubled each time. */
  retryDelay?: number;
}

/** A manifest or index as served: the digest is of exactly these bytes. */
export interface ServedManifest {
  bytes: Buffer;
  digest: Digest;
  mediaType: string;
}

/** One repository of a registry, for reading (OCI distribution spec, "Pull"). */
export class RegistryClient {
  readonly #reference: Reference;
  readonly #transport: Transport;
  readonly #credentials: Credentials | undefined;
  readonly #retryDelay: number;
  #base: URL;
  /** Plain HTTP may still be tried. */
  #mayDowngrade: boolean;
  #authorization: string | undefined;

  constructor(reference: Reference, options: RegistryOptions = {}) {
    const tlsVerify = options.tlsVerify ?? true;
    const host = reference.domain === "docker.io" ? "registry-1.docker.io" : reference.domain;
    this.#reference = reference;
    this.#transport = new Transport({ tlsVerify, ...(options.signal && { signal: options.signal }) });
    this.#credentials = findCredentials(reference.domain, reference.path, options.env);
    this.#retryDelay = options.retryDelay ?? 500;
    this.#base = new URL(`${isLoopback(host) ? "http" : "https"}://${host}/v2/${reference.path}/`);
    this.#mayDowngrade = !tlsVerify;
  }

  /** The manifest of a tag or digest; a digest is verified. */
  async manifest(target: string = this.#reference.digest ?? this.#reference.tag ?? "latest"): Promise<ServedManifest> {
    const action = `pull "${formatReference(this.#reference)}"`;
    return this.#retry(async () => {
      const answer = await this.#get(`manifests/${target}`, { accept: ACCEPT }, action);
      const bytes = await readBody(answer.body, MAX_MANIFEST_SIZE, action);
      const digest: Digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
      if (target.startsWith("sha256:") && digest !== target) {
        throw new RegistryError(`Cannot ${action}: the manifest has digest ${digest}, expected ${target}`, 0, {
          hint: "the registry, or something on the way, changed it",
        });
      }
      return {
        bytes,
        digest,
        mediaType:
          String(answer.headers["content-type"] ?? "")
            .split(";")[0]
            ?.trim() ?? "",
      };
    });
  }

  /**
   * The bytes of a blob from `offset` on; `start` of the answer is where they really begin (0 when the registry ignores ranges).
   * The caller verifies the digest, and asks again when the stream breaks.
   */
  async blob(descriptor: Descriptor, offset = 0): Promise<{ start: number; stream: IncomingMessage }> {
    const action = `pull blob ${descriptor.digest} of "${formatReference(this.#reference)}"`;
    return this.#retry(async () => {
      const headers: Record<string, string> = offset > 0 ? { range: `bytes=${offset}-` } : {};
      const answer = await this.#get(`blobs/${descriptor.digest}`, headers, action);
      if (answer.status === 206) {
        const from = /^bytes (\d+)-/.exec(answer.headers["content-range"] ?? "")?.[1];
        if (Number(from) !== offset) {
          answer.body.destroy();
          throw new RegistryError(
            `Cannot ${action}: asked for bytes from ${offset}, got "${visible(String(answer.headers["content-range"]))}"`,
            0,
          );
        }
        return { start: offset, stream: answer.body };
      }
      return { start: 0, stream: answer.body };
    });
  }

  close(): void {
    this.#transport.close();
  }

  /** Tries again after failures that may pass, waiting as long as the registry asks. */
  async #retry<T>(work: () => Promise<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof RegistryError) || !error.temporary || attempt === MAX_TRIES) throw error;
        await sleep(Math.max(this.#retryDelay * 2 ** (attempt - 1), this.#retryAfter));
      }
    }
  }

  /** Milliseconds that the last refusal asked to wait. */
  #retryAfter = 0;

  async #get(path: string, headers: Record<string, string>, action: string): Promise<Answer> {
    let answer = await this.#send(path, headers, action);
    if (answer.status === 401) {
      answer.body.resume();
      this.#authorization = await this.#authenticate(String(answer.headers["www-authenticate"] ?? ""), action);
      if (this.#authorization !== undefined) answer = await this.#send(path, headers, action);
    }
    if (answer.status === 200 || answer.status === 206) return answer;
    const asked = Number(answer.headers["retry-after"]);
    this.#retryAfter = asked > 0 ? Math.min(asked, 60) * 1000 : 0;
    const body = await readBody(answer.body, MAX_ERROR_SIZE, action).catch(() => Buffer.alloc(0));
    throw statusError(action, this.#reference.domain, answer.status, body.toString("utf8"));
  }

  async #send(path: string, headers: Record<string, string>, action: string): Promise<Answer> {
    const all = { ...headers, ...(this.#authorization !== undefined && { authorization: this.#authorization }) };
    try {
      return await this.#transport.get(new URL(path, this.#base), all, action);
    } catch (error) {
      if (!this.#mayDowngrade || this.#base.protocol === "http:" || !(error instanceof RegistryError)) throw error;
      this.#base = new URL(this.#base.href.replace("https:", "http:"));
      return this.#transport.get(new URL(path, this.#base), all, action);
    }
  }

  /** What to send, by the challenge: a bearer token from the realm it names, or the credentials themselves. */
  async #authenticate(challenge: string, action: string): Promise<string | undefined> {
    const basic = this.#credentials
      ? `Basic ${Buffer.from(`${this.#credentials.username}:${this.#credentials.password}`).toString("base64")}`
      : undefined;
    if (/^basic\b/i.test(challenge)) return basic;
    if (!/^bearer\b/i.test(challenge)) return undefined;
    const field = (name: string) => new RegExp(`${name}="([^"]*)"`, "i").exec(challenge)?.[1];
    const realm = URL.canParse(field("realm") ?? "") ? new URL(field("realm") as string) : undefined;
    if (!realm) throw new RegistryError(`Cannot ${action}: the registry names no token server`, 401);
    if (realm.protocol !== "https:" && this.#base.protocol === "https:" && !this.#mayDowngrade) {
      throw new RegistryError(`Cannot ${action}: the registry's token server ${realm.host} does not use HTTPS`, 401);
    }
    const service = field("service");
    if (service !== undefined) realm.searchParams.set("service", service);
    realm.searchParams.set("scope", field("scope") ?? `repository:${this.#reference.path}:pull`);
    const answer = await this.#transport.get(realm, basic === undefined ? {} : { authorization: basic }, action);
    const body = (await readBody(answer.body, MAX_ERROR_SIZE, action)).toString("utf8");
    if (answer.status !== 200)
      throw statusError(`${action}: token server`, this.#reference.domain, answer.status, body);
    let token: unknown;
    try {
      const told = JSON.parse(body) as { token?: unknown; access_token?: unknown };
      token = told.token ?? told.access_token;
    } catch {
      // told below
    }
    if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
      throw new RegistryError(`Cannot ${action}: the token server ${realm.host} gave no token`, 401);
    }
    return `Bearer ${token}`;
  }
}

/** Plain HTTP is for this machine only, unless asked for. */
function isLoopback(host: string): boolean {
  const name = host.replace(/:\d+$/, "");
  return name === "localhost" || name === "[::1]" || /^127(\.\d+){3}$/.test(name);
}
