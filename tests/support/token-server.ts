import { createPrivateKey, randomUUID, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer as createPlain, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecure } from "node:https";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { type Authority, derBase64 } from "./certificates.ts";

/** A server of tokens as docker-registry takes them: JSON Web Tokens, signed ES256, with the certificate inside. */
export interface TokenServer extends AsyncDisposable {
  /** The `auth` section of a registry's configuration. */
  config: object;
  /** What was asked: method, scopes, who. */
  requests: { method: string; scopes: string[]; user: string | undefined }[];
}

export const USER = "friend";
export const PASSWORD = "open sesame";
/** What a login by OAuth2 would have given. */
export const IDENTITY = "identity-of-friend";

/** Grants everything to who knows the password or has the identity token, pulls from `public/` to anybody. */
export async function startTokenServer(authority: Authority, secure: boolean): Promise<TokenServer> {
  const signer = authority.issue("tokens", ["IP:127.0.0.1", "DNS:localhost"]);
  const requests: TokenServer["requests"] = [];
  const answer = async (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "", "http://here");
    const form = new URLSearchParams(request.method === "POST" ? await text(request) : "");
    const scopes = request.method === "POST" ? (form.get("scope") ?? "").split(" ") : url.searchParams.getAll("scope");
    const user = request.method === "POST" ? byIdentity(form) : byPassword(request);
    requests.push({ method: request.method ?? "", scopes: scopes.filter(Boolean), user });
    const tried = request.method === "POST" || request.headers.authorization !== undefined;
    if (tried && user === undefined) {
      response.writeHead(401, { "content-type": "application/json" });
      return response.end(JSON.stringify({ errors: [{ code: "UNAUTHORIZED", message: "who are you?" }] }));
    }
    const token = makeToken(signer, user, scopes.filter(Boolean));
    response.writeHead(200, { "content-type": "application/json" });
    return response.end(JSON.stringify(request.method === "POST" ? { access_token: token } : { token }));
  };
  const tls = { key: readFileSync(signer.key), cert: readFileSync(signer.certificate) };
  const server: Server = secure ? createSecure(tls, answer) : createPlain(answer);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    requests,
    config: {
      token: {
        realm: `${secure ? "https" : "http"}://127.0.0.1:${port}/token`,
        service: "test registry",
        issuer: "test issuer",
        rootcertbundle: authority.certificate,
      },
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function byPassword(request: IncomingMessage): string | undefined {
  const pair = Buffer.from((request.headers.authorization ?? "").replace(/^Basic /, ""), "base64").toString();
  return pair === `${USER}:${PASSWORD}` ? USER : undefined;
}

function byIdentity(form: URLSearchParams): string | undefined {
  return form.get("grant_type") === "refresh_token" && form.get("refresh_token") === IDENTITY ? USER : undefined;
}

function makeToken(signer: { certificate: string; key: string }, user: string | undefined, scopes: string[]): string {
  const now = Math.floor(Date.now() / 1000);
  const access = scopes.flatMap((scope) => {
    const [type = "", name = "", actions = ""] = scope.split(":");
    const allowed = user !== undefined ? actions.split(",") : name.startsWith("public/") ? ["pull"] : [];
    return allowed.length > 0 ? [{ type, name, actions: allowed }] : [];
  });
  const header = { typ: "JWT", alg: "ES256", x5c: [derBase64(signer.certificate)] };
  const claims = {
    iss: "test issuer",
    sub: user ?? "",
    aud: "test registry",
    exp: now + 300,
    nbf: now - 30,
    iat: now,
    jti: randomUUID(),
    access,
  };
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
  const key = createPrivateKey(readFileSync(signer.key));
  const signature = sign("sha256", Buffer.from(signed), { key, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}
