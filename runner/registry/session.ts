import { visible } from "../base/error.ts";
import { type Credentials, findCredentials } from "./credentials.ts";
import type { Endpoint } from "./endpoints.ts";
import { isLoopback } from "./loopback.ts";
import type { RegistryOptions } from "./options.ts";
import { parseRetryAfter, RegistryError, statusError } from "./registry-error.ts";
import { basic, type Challenge, fetchToken, parseChallenge } from "./token.ts";
import { type Answer, type Body, readBody, redirected, Transport } from "./transport.ts";

const MAX_ERROR_SIZE = 64 << 10;

export interface SessionRequest {
  method: "GET" | "HEAD" | "POST" | "PATCH" | "PUT";
  /** Below `/v2/`, or from the root (`/v1/search`), or where an earlier answer led. */
  target: string | URL;
  headers?: Record<string, string>;
  body?: Body;
  /** What a token must allow: `repository:PATH:pull`. */
  scopes?: string[];
  /** Statuses that are no refusal. */
  expect: number[];
  action: string;
}

/** Requests to one registry: finds out how it is reached, shows it who asks, and turns refusals into errors. */
export class Session {
  readonly endpoint: Endpoint;
  readonly #options: RegistryOptions;
  readonly #env: NodeJS.ProcessEnv;
  readonly #transport: Transport;
  /** `https://HOST/`; undefined until an answer came. */
  #base: URL | undefined;
  #credentials: Promise<Credentials | undefined> | undefined;
  #challenge: Challenge | undefined;
  /** What to send, by the scopes it is good for. */
  readonly #authorizations = new Map<string, Promise<string | undefined>>();

  constructor(endpoint: Endpoint, options: RegistryOptions) {
    this.endpoint = endpoint;
    this.#options = options;
    this.#env = options.env ?? process.env;
    this.#transport = new Transport({
      host: hostOf(endpoint.domain),
      verify: !this.#insecure,
      certDir: options.certDir,
      env: this.#env,
      signal: options.signal,
    });
  }

  /** Whether it speaks HTTPS, as far as that is known. */
  get secure(): boolean {
    return this.#base?.protocol !== "http:";
  }

  get #insecure(): boolean {
    return this.#options.tlsVerify === undefined ? this.endpoint.insecure : !this.#options.tlsVerify;
  }

  close(): void {
    this.#transport.close();
  }

  /** The answer, whose status is one of those expected. */
  async request(request: SessionRequest): Promise<Answer> {
    const { scopes = [], expect, action } = request;
    let sent = await this.#authorization(scopes, action);
    let answer = await this.#send(request, sent);
    // the first time; or what was sent is not good any more
    for (let again = 0; answer.status === 401 && again < 2; again++) {
      const challenge = parseChallenge(String(answer.headers["www-authenticate"] ?? ""));
      if (!challenge || !this.#isOwn(answer.url)) break;
      answer.body.resume();
      if (sent !== undefined) await this.#forget(scopeKey(scopes, challenge), sent);
      this.#challenge = challenge;
      const fresh = await this.#authorization(scopes, action);
      if (fresh === undefined || fresh === sent) break;
      sent = fresh;
      answer = await this.#send(request, sent);
    }
    if (expect.includes(answer.status)) return answer;
    const retryAfter = parseRetryAfter(answer.headers["retry-after"], Date.now());
    const body = await readBody(answer.body, MAX_ERROR_SIZE, action).catch(() => Buffer.alloc(0));
    throw statusError(action, this.endpoint.domain, answer.status, body.toString("utf8"), retryAfter);
  }

  /** Where an answer's Location leads, from where the answer came. */
  location(answer: Answer, action: string): URL {
    const { location } = answer.headers;
    if (location === undefined) {
      throw new RegistryError(`Cannot ${action}: ${answer.url.host} does not say where to go on`, 0);
    }
    return redirected(location, answer.url, action);
  }

  /** Unless another request, refused as well, has got a fresh one meanwhile. */
  async #forget(key: string, refused: string): Promise<void> {
    const known = this.#authorizations.get(key);
    const current = await known?.catch(() => refused);
    if (current === refused && this.#authorizations.get(key) === known) this.#authorizations.delete(key);
  }

  #isOwn(url: URL): boolean {
    return this.#base !== undefined && url.origin === this.#base.origin;
  }

  async #send(request: SessionRequest, authorization: string | undefined): Promise<Answer> {
    const { method, target, headers = {}, body, action } = request;
    const to = (base: URL) => {
      const url =
        typeof target === "string" ? new URL(target.startsWith("/") ? target : `/v2/${target}`, base) : target;
      // another host learns nothing of who we are
      const own = authorization !== undefined && url.origin === base.origin;
      return { method, url, headers: { ...headers, ...(own && { authorization }) }, body, action };
    };
    if (this.#base) return this.#transport.send(to(this.#base));
    const failures: RegistryError[] = [];
    for (const base of this.#bases()) {
      try {
        const answer = await this.#transport.send(to(base));
        // what a server that speaks TLS says to one who does not
        const wrong = base.protocol === "http:" && answer.status === 400;
        if (wrong && (await speaksTLS(answer, action))) {
          failures.push(new RegistryError(`Cannot ${action}: ${base.host} speaks HTTPS only`, 0));
          continue;
        }
        this.#base = base;
        return answer;
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        failures.push(error);
      }
    }
    // a refused certificate says more than that plain HTTP did not work either
    throw failures.find(({ hint }) => hint !== undefined && !/does not speak TLS/.test(hint)) ?? failures[0];
  }

  /** Ways to try. This machine's own registries mostly have no certificate: TLS, which takes longer to load, comes second. */
  #bases(): URL[] {
    const host = hostOf(this.endpoint.domain);
    const secure = new URL(`https://${host}/`);
    const plain = new URL(`http://${host}/`);
    if (this.#options.tlsVerify !== true && isLoopback(host)) return [plain, secure];
    return this.#insecure ? [secure, plain] : [secure];
  }

  /** What to send for these scopes; nothing before the registry has asked. */
  async #authorization(scopes: string[], action: string): Promise<string | undefined> {
    const challenge = this.#challenge;
    if (!challenge) return undefined;
    const key = scopeKey(scopes, challenge);
    let known = this.#authorizations.get(key);
    if (!known) {
      known = this.#authorize(challenge, key === "" ? [] : key.split(" "), action);
      this.#authorizations.set(key, known);
      known.catch(() => this.#authorizations.delete(key));
    }
    return known;
  }

  async #authorize(challenge: Challenge, scopes: string[], action: string): Promise<string | undefined> {
    const credentials = await this.#stored();
    if (challenge.scheme === "basic") return credentials && basic(credentials);
    if (credentials?.bearer !== undefined) return `Bearer ${credentials.bearer}`;
    const token = await fetchToken({
      transport: this.#transport,
      challenge,
      credentials,
      scopes,
      secure: this.#base?.protocol === "https:" && !this.#insecure,
      domain: this.endpoint.domain,
      action,
    });
    return `Bearer ${token}`;
  }

  #stored(): Promise<Credentials | undefined> {
    const { credentials, authfile, credentialProgram } = this.#options;
    this.#credentials ??= credentials
      ? Promise.resolve(credentials)
      : findCredentials(this.endpoint.domain, this.endpoint.path, {
          authfile,
          env: this.#env,
          program: credentialProgram,
        });
    return this.#credentials;
  }
}

/** Docker Hub answers under another name than the one in references. */
function hostOf(domain: string): string {
  return domain === "docker.io" ? "registry-1.docker.io" : domain;
}

/** Ours and those of the challenge, each repository once with all that is asked of it. */
function scopeKey(scopes: string[], { scheme, scope }: Challenge): string {
  if (scheme === "basic") return "";
  const actions = new Map<string, Set<string>>();
  const asked = scopes.length > 0 ? scopes : (scope ?? "").split(" ").filter((one) => one !== "");
  for (const one of asked) {
    const end = one.lastIndexOf(":");
    const known = actions.get(one.slice(0, end)) ?? new Set();
    for (const action of one.slice(end + 1).split(",")) known.add(action);
    actions.set(one.slice(0, end), known);
  }
  return [...actions].map(([resource, set]) => `${visible(resource)}:${[...set].join(",")}`).join(" ");
}

async function speaksTLS(answer: Answer, action: string): Promise<boolean> {
  const text = (await readBody(answer.body, MAX_ERROR_SIZE, action).catch(() => Buffer.alloc(0))).toString("utf8");
  return /https/i.test(text);
}
