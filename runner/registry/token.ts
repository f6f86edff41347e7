import { visible } from "../base/error.ts";
import type { Credentials } from "./credentials.ts";
import { RegistryError, statusError } from "./registry-error.ts";
import { bodyOf, readBody, type Transport } from "./transport.ts";

const MAX_ANSWER = 64 << 10;
const CLIENT_ID = "tsbox";

/** What a registry answers to who may not: how to become one who may (RFC 7235; distribution's token authentication). */
export interface Challenge {
  scheme: "basic" | "bearer";
  realm?: string;
  service?: string;
  scope?: string;
}

/** The first challenge that can be answered. Several may stand in one header. */
export function parseChallenge(header: string): Challenge | undefined {
  const found = [...header.matchAll(/(?:^|,)\s*(basic|bearer)\b((?:\s*,?\s*\w+=(?:"(?:[^"\\]|\\.)*"|[^\s",]+))*)/gi)];
  const challenges = found.map(([, scheme = "", rest = ""]): Challenge => {
    const fields = new Map(
      [...rest.matchAll(/(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^\s",]+))/g)].map(([, name = "", quoted, plain]) => [
        name.toLowerCase(),
        quoted === undefined ? (plain ?? "") : quoted.replace(/\\(.)/g, "$1"),
      ]),
    );
    const field = (name: "realm" | "service" | "scope") => {
      const value = fields.get(name);
      return value === undefined ? {} : { [name]: value };
    };
    return {
      scheme: scheme.toLowerCase() as Challenge["scheme"],
      ...field("realm"),
      ...field("service"),
      ...field("scope"),
    };
  });
  return challenges.find(({ scheme }) => scheme === "bearer") ?? challenges[0];
}

export interface TokenRequest {
  transport: Transport;
  challenge: Challenge;
  credentials: Credentials | undefined;
  /** `repository:PATH:pull,push`. */
  scopes: string[];
  /** The registry was reached over HTTPS: its token server must be, too. */
  secure: boolean;
  domain: string;
  action: string;
}

/** A bearer token from the server that the challenge names: by name and password, an identity token, or for anybody. */
export async function fetchToken(request: TokenRequest): Promise<string> {
  const { challenge, credentials, domain, action } = request;
  const realm = realmURL(request);
  const { status, text } = credentials?.identityToken
    ? await byIdentity(request, realm, credentials.identityToken)
    : await byPassword(request, realm);
  if (status !== 200) throw statusError(`${action}: token server ${realm.host}`, domain, status, text);
  let token: unknown;
  try {
    const told = JSON.parse(text) as { token?: unknown; access_token?: unknown };
    token = told.token || told.access_token;
  } catch {
    // told below
  }
  if (typeof token !== "string" || !/^[\x21-\x7e]+$/.test(token)) {
    throw new RegistryError(`Cannot ${action}: the token server ${realm.host} gave no token`, 401, {
      hint: `the registry names ${challenge.realm === undefined ? "none" : visible(challenge.realm)} as its token server`,
    });
  }
  return token;
}

function realmURL({ challenge, secure, action }: TokenRequest): URL {
  const text = challenge.realm ?? "";
  const realm = URL.canParse(text) ? new URL(text) : undefined;
  if (!realm || (realm.protocol !== "https:" && realm.protocol !== "http:") || realm.username !== "") {
    throw new RegistryError(`Cannot ${action}: the registry names no token server, but "${visible(text)}"`, 401);
  }
  if (secure && realm.protocol !== "https:") {
    throw new RegistryError(`Cannot ${action}: the registry's token server ${realm.host} does not use HTTPS`, 401);
  }
  return realm;
}

async function byPassword(request: TokenRequest, realm: URL): Promise<{ status: number; text: string }> {
  const { transport, challenge, credentials, scopes, action } = request;
  const url = new URL(realm);
  if (challenge.service !== undefined) url.searchParams.set("service", challenge.service);
  for (const scope of scopes) url.searchParams.append("scope", scope);
  if (credentials) url.searchParams.set("account", credentials.username);
  const headers: Record<string, string> = credentials ? { authorization: basic(credentials) } : {};
  const answer = await transport.send({ method: "GET", url, headers, action });
  return { status: answer.status, text: (await readBody(answer.body, MAX_ANSWER, action)).toString("utf8") };
}

async function byIdentity(
  request: TokenRequest,
  url: URL,
  refreshToken: string,
): Promise<{ status: number; text: string }> {
  const { transport, challenge, scopes, action } = request;
  const form = new URLSearchParams({
    grant_type: "refresh_token",
    client_id: CLIENT_ID,
    service: challenge.service ?? "",
    scope: scopes.join(" "),
    refresh_token: refreshToken,
  });
  const answer = await transport.send({
    method: "POST",
    url,
    headers: { "content-type": "application/x-www-form-urlencoded" },
    body: bodyOf(Buffer.from(form.toString())),
    // the token is this server's alone
    follow: false,
    action,
  });
  return { status: answer.status, text: (await readBody(answer.body, MAX_ANSWER, action)).toString("utf8") };
}

export function basic({ username, password }: Credentials): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}`;
}
