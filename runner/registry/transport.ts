import http, { type IncomingMessage } from "node:http";
import https from "node:https";
import { visible } from "../base/error.ts";
import { RegistryError } from "./registry-error.ts";

export interface TransportOptions {
  /** False: certificates are not checked, and plain HTTP is tried where HTTPS fails. */
  tlsVerify: boolean;
  signal?: AbortSignal;
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

/** Requests over connections that are kept; follows redirects, and forgets credentials when they lead to another host. */
export class Transport {
  readonly #http = new http.Agent({ keepAlive: true });
  readonly #https: https.Agent;
  readonly #signal: AbortSignal | undefined;

  constructor(options: TransportOptions) {
    this.#signal = options.signal;
    this.#https = new https.Agent({ keepAlive: true, rejectUnauthorized: options.tlsVerify });
  }

  async get(url: URL, headers: Record<string, string>, action: string): Promise<Answer> {
    let target = url;
    let sent = headers;
    for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
      const answer = await this.#once(target, sent, action);
      const location = answer.headers.location;
      if (![301, 302, 303, 307, 308].includes(answer.status) || location === undefined) return answer;
      answer.body.resume();
      if (!URL.canParse(location, target.href)) {
        throw new RegistryError(
          `Cannot ${action}: ${target.host} redirects to "${visible(location)}", which is no URL`,
          0,
        );
      }
      const next = new URL(location, target);
      if (next.protocol !== "https:" && next.protocol !== target.protocol) {
        throw new RegistryError(`Cannot ${action}: redirected from HTTPS to ${next.protocol}//${next.host}`, 0);
      }
      if (next.host !== target.host) {
        const { authorization: _, ...rest } = sent;
        sent = rest;
      }
      target = next;
    }
    throw new RegistryError(`Cannot ${action}: more than ${MAX_REDIRECTS} redirects`, 0);
  }

  close(): void {
    this.#http.destroy();
    this.#https.destroy();
  }

  #once(url: URL, headers: Record<string, string>, action: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const options = { headers, highWaterMark: 1 << 20, ...(this.#signal && { signal: this.#signal }) };
      const request =
        url.protocol === "http:"
          ? http.request(url, { ...options, agent: this.#http })
          : https.request(url, { ...options, agent: this.#https });
      request.setTimeout(IDLE_MILLISECONDS, () =>
        request.destroy(new Error(`no answer for ${IDLE_MILLISECONDS / 1000} s`)),
      );
      request.on("error", (cause: NodeJS.ErrnoException) => reject(unreachable(action, url, cause)));
      request.on("response", (body) => resolve({ status: body.statusCode ?? 0, headers: body.headers, body, url }));
      request.end();
    });
  }
}

function unreachable(action: string, url: URL, cause: NodeJS.ErrnoException): RegistryError {
  const hints: Record<string, string> = {
    ECONNREFUSED: `nothing listens at ${url.host}`,
    ENOTFOUND: `the name ${url.hostname} is not known: check it, and the network`,
    EAI_AGAIN: `the name ${url.hostname} could not be looked up: check the network`,
    DEPTH_ZERO_SELF_SIGNED_CERT: "its certificate is self-signed: --tls-verify=false accepts it",
    SELF_SIGNED_CERT_IN_CHAIN: "its certificate authority is not known here: set NODE_EXTRA_CA_CERTS",
    UNABLE_TO_VERIFY_LEAF_SIGNATURE: "its certificate authority is not known here: set NODE_EXTRA_CA_CERTS",
    EPROTO: "it does not speak TLS: --tls-verify=false allows plain HTTP",
  };
  const hint = hints[cause.code ?? ""];
  return new RegistryError(`Cannot ${action}: ${url.host}: ${cause.message}`, 0, {
    temporary:
      ["ECONNRESET", "ETIMEDOUT", "EPIPE", "EAI_AGAIN"].includes(cause.code ?? "") || /no answer/.test(cause.message),
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
