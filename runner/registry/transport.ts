import http, { type IncomingMessage } from "node:http";
import { type AgentOptions, Agent as SecureAgent, request as secureRequest } from "node:https";
import { Readable } from "node:stream";
import { visible } from "../base/error.ts";
import { plainConnection } from "./body-chunks.ts";
import { type HostCertificates, hostCertificates, systemAuthorities, withUsualAuthorities } from "./certificates.ts";
import { proxyFor, proxyHeaders, tunnelAgent } from "./proxy.ts";
import { RegistryError } from "./registry-error.ts";

export interface TransportOptions {
  /** The registry, `HOST[:PORT]`: whose authorities count for token servers and stores of blobs too. */
  host: string;
  /** False: certificates are not checked. */
  verify: boolean;
  certDir?: string | undefined;
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
}

/** What is sent with a request; opened again for each try. */
export interface Body {
  length: number;
  open(): Readable;
}

export interface Request {
  method: "GET" | "HEAD" | "POST" | "PATCH" | "PUT";
  url: URL;
  headers: Record<string, string>;
  body?: Body | undefined;
  /** False: an answer that leads elsewhere is an answer. For bodies that nobody else may see. */
  follow?: boolean;
  /** The first words of errors: `pull "…"`. */
  action: string;
}

/** An answer whose body has not been read yet. */
export interface Answer {
  status: number;
  headers: IncomingMessage["headers"];
  body: IncomingMessage;
  url: URL;
}

const MAX_REDIRECTS = 5;
/** No byte for so long means that the other side is gone. */
const IDLE_MILLISECONDS = 60_000;
/** Who was sent a blob may look at all of it before it answers. */
const IDLE_AFTER_UPLOAD = 300_000;

const UNKNOWN_AUTHORITY = [
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
];

/** Requests over connections that are kept; follows redirects, and forgets credentials when they lead to another host. */
export class Transport {
  readonly #options: TransportOptions;
  readonly #http = plainAgent();
  /** One a host: a client's certificate is shown to the host it is for alone. */
  readonly #https = new Map<string, SecureAgent>();
  /** The system's authorities, once they were needed. */
  #system: string[] | undefined;

  constructor(options: TransportOptions) {
    this.#options = options;
  }

  async send(request: Request): Promise<Answer> {
    const { action } = request;
    let { url, headers } = request;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const answer = await this.#trusting(url, headers, request);
      const { location } = answer.headers;
      if (location === undefined || !leadsOn(answer.status, request)) return answer;
      answer.body.resume();
      const next = redirected(location, url, action);
      if (next.host !== url.host) {
        const { authorization: _, ...rest } = headers;
        headers = rest;
      }
      url = next;
    }
    throw new RegistryError(`Cannot ${action}: more than ${MAX_REDIRECTS} redirects`, 0);
  }

  close(): void {
    this.#http.destroy();
    for (const agent of this.#https.values()) agent.destroy();
  }

  /** Asks the system's authorities too before a certificate is refused. */
  async #trusting(url: URL, headers: Record<string, string>, request: Request): Promise<Answer> {
    try {
      return await this.#once(url, headers, request);
    } catch (error) {
      const { code = "" } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
      if (this.#system !== undefined || !UNKNOWN_AUTHORITY.includes(code)) throw error;
      this.#system = systemAuthorities(this.#options.env);
      this.#https.clear();
      return this.#once(url, headers, request);
    }
  }

  #once(url: URL, headers: Record<string, string>, { method, body, action }: Request): Promise<Answer> {
    const { signal, env } = this.#options;
    return new Promise((resolve, reject) => {
      const all = { ...headers, ...(body && { "content-length": String(body.length) }) };
      const options = { method, headers: all, highWaterMark: 1 << 20, ...(signal && { signal }) };
      const proxy = proxyFor(url, env);
      let request: http.ClientRequest;
      if (url.protocol === "https:") request = secureRequest(url, { ...options, agent: this.#agent(url, proxy) });
      else if (proxy === undefined) request = http.request(url, { ...options, agent: this.#http });
      else {
        const toProxy = { ...all, host: url.host, ...proxyHeaders(proxy) };
        const through = { ...options, path: url.href, headers: toProxy };
        // by its origin: Node would send a name that stands in the URL to the registry
        const { origin } = proxy;
        request =
          proxy.protocol === "https:"
            ? secureRequest(origin, through)
            : http.request(origin, { ...through, agent: this.#http });
      }
      const idle = body ? IDLE_AFTER_UPLOAD : IDLE_MILLISECONDS;
      request.setTimeout(idle, () => request.destroy(new Error(`no answer for ${idle / 1000} s`)));
      request.on("error", (cause: NodeJS.ErrnoException) => reject(unreachable(action, url, cause)));
      request.on("response", (answer) =>
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: answer, url }),
      );
      if (!body) return request.end();
      const source = body.open();
      // who answers before it has heard everything does not want the rest
      request.on("response", (answer) => {
        if (request.writableFinished) return;
        source.unpipe(request);
        source.destroy();
        answer.on("close", () => request.destroy());
      });
      source.on("error", (cause) => request.destroy(cause));
      request.on("close", () => source.destroy());
      source.pipe(request);
    });
  }

  #agent(url: URL, proxy: URL | undefined): SecureAgent {
    const known = this.#https.get(url.host);
    if (known) return known;
    const { host, verify, certDir, env } = this.#options;
    const registry = hostCertificates(host, certDir, env);
    const own: HostCertificates = url.host === host ? registry : hostCertificates(url.host, undefined, env);
    const authorities = [...new Set([...registry.authorities, ...own.authorities, ...(this.#system ?? [])])];
    const options: AgentOptions = {
      keepAlive: true,
      rejectUnauthorized: verify,
      ...(authorities.length > 0 && { ca: withUsualAuthorities(authorities, env) }),
      ...(own.clients.length > 0 && {
        cert: own.clients.map(({ certificate }) => certificate),
        key: own.clients.map(({ key }) => key),
      }),
    };
    const agent = proxy ? tunnelAgent(proxy, options) : new SecureAgent(options);
    this.#https.set(url.host, agent);
    return agent;
  }
}

function plainAgent(): http.Agent {
  return Object.assign(new http.Agent({ keepAlive: true }), { createConnection: plainConnection });
}

/** A body is sent on only where the answer says that the method stays. */
function leadsOn(status: number, { method, follow = true }: Request): boolean {
  if (!follow) return false;
  const safe = method === "GET" || method === "HEAD";
  return (safe ? [301, 302, 303, 307, 308] : [307, 308]).includes(status);
}

export function bodyOf(bytes: Buffer): Body {
  return { length: bytes.length, open: () => Readable.from(bytes.length === 0 ? [] : [bytes]) };
}

/** Where an answer leads: never from HTTPS to anything less. */
export function redirected(location: string, from: URL, action: string): URL {
  if (!URL.canParse(location, from.href)) {
    throw new RegistryError(`Cannot ${action}: ${from.host} redirects to "${visible(location)}", which is no URL`, 0);
  }
  const next = new URL(location, from);
  if (next.protocol !== "https:" && next.protocol !== from.protocol) {
    const [before, after] = [from, next].map((url) => url.protocol.slice(0, -1).toUpperCase());
    throw new RegistryError(`Cannot ${action}: redirected from ${before} to ${after} (${visible(next.host)})`, 0);
  }
  // a name in the URL would be sent as credentials, which nobody gave us
  next.username = "";
  next.password = "";
  return next;
}

function unreachable(action: string, url: URL, cause: NodeJS.ErrnoException): RegistryError {
  const { code = "" } = cause;
  const login = "name the folder of its authority with --cert-dir, or put it into ~/.config/containers/certs.d";
  const hints: Record<string, string> = {
    ECONNREFUSED: `nothing listens at ${url.host}`,
    ENOTFOUND: `the name ${url.hostname} is not known: check it, and the network`,
    EAI_AGAIN: `the name ${url.hostname} could not be looked up: check the network`,
    DEPTH_ZERO_SELF_SIGNED_CERT: `its certificate is self-signed: ${login}, or accept it with --tls-verify=false`,
    CERT_HAS_EXPIRED: "its certificate has expired; check the clock of this machine too",
    ERR_TLS_CERT_ALTNAME_INVALID: "its certificate is for another name",
    ...Object.fromEntries(UNKNOWN_AUTHORITY.map((name) => [name, `its authority is not known here: ${login}`])),
    EPROTO: "it does not speak TLS: --tls-verify=false allows plain HTTP",
    ERR_SSL_WRONG_VERSION_NUMBER: "it does not speak TLS: --tls-verify=false allows plain HTTP",
    HPE_HEADER_OVERFLOW: "its answer has more headers than any registry needs",
  };
  const hint = hints[code];
  return new RegistryError(`Cannot ${action}: ${url.host}: ${visible(cause.message.trim())}`, 0, {
    temporary:
      ["ECONNRESET", "ETIMEDOUT", "EPIPE", "EAI_AGAIN"].includes(code) ||
      /no answer|socket hang up/.test(cause.message),
    cause,
    ...(hint !== undefined && { hint }),
  });
}

/** The body's bytes, at most `limit`: a registry must not make us read forever. */
export async function readBody(body: IncomingMessage, limit: number, action: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of body) {
      size += (chunk as Buffer).length;
      if (size > limit) throw new RegistryError(`Cannot ${action}: the answer is longer than ${limit} bytes`, 0);
      chunks.push(chunk as Buffer);
    }
  } catch (cause) {
    body.destroy();
    if (cause instanceof RegistryError) throw cause;
    throw new RegistryError(`Cannot ${action}: the answer was cut off: ${(cause as Error).message}`, 0, {
      temporary: true,
      cause,
    });
  }
  return Buffer.concat(chunks);
}
