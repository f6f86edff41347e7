import { createHash } from "node:crypto";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecure, type ServerOptions } from "node:https";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { fileRecord, type OutgoingEntry, writeArchive } from "../../runner/layers/writer.ts";

/** Answers a request in its own way; `ordinary` answers as a registry does. */
export type Handler = (request: IncomingMessage, response: ServerResponse, ordinary: () => void) => void;

/** A registry in this process, for misbehaviour that no real one can be made to show. */
export interface FakeRegistry extends AsyncDisposable {
  /** "127.0.0.1:PORT". */
  host: string;
  /** "METHOD PATH" of every request, in order; ` bytes=…` behind it when it asks for a range. */
  requests: string[];
  /** Serves an image made of layers of these files under a tag; returns what it is made of. */
  add(repository: string, tag: string, layers: Record<string, string>[]): Promise<ServedImage>;
  /** Serves bytes as they are: a manifest under a tag or digest. */
  manifest(repository: string, target: string, mediaType: string, bytes: string): void;
  blob(bytes: Buffer): string;
  /** Breaks the connection of so many uploads, each after so many bytes, which it keeps. */
  cutUploads(times: number, bytes: number): void;
  /** What it has been given or serves: a manifest's bytes by `REPOSITORY/TARGET`. */
  manifests: ReadonlyMap<string, { mediaType: string; bytes: Buffer }>;
  /** Replaces the answers to requests whose path contains this text. */
  on(text: string, handler: Handler): void;
  /** As it was before any `on`. */
  behave(): void;
}

export interface ServedImage {
  /** Of the manifest. */
  digest: string;
  config: string;
  layers: { digest: string; diffID: string; bytes: Buffer }[];
}

export const MANIFEST = "application/vnd.oci.image.manifest.v1+json";
export const INDEX = "application/vnd.oci.image.index.v1+json";
const CONFIG = "application/vnd.oci.image.config.v1+json";
const LAYER = "application/vnd.oci.image.layer.v1.tar+gzip";

/** With `tls` it speaks HTTPS. */
export async function fakeRegistry(tls?: ServerOptions): Promise<FakeRegistry> {
  const blobs = new Map<string, Buffer>();
  const manifests = new Map<string, { mediaType: string; bytes: Buffer }>();
  const requests: string[] = [];
  const uploads = new Map<string, Buffer>();
  const cuts = { times: 0, bytes: 0 };
  let handlers: [text: string, handler: Handler][] = [];

  const ordinary = (request: IncomingMessage, response: ServerResponse) => {
    const path = request.url ?? "";
    if (path === "/v2/") return void response.end("{}");
    if (path.includes("/blobs/uploads/")) return upload(request, response);
    if (request.method === "PUT") return putManifest(request, response);
    const found = /^\/v2\/(.+)\/(manifests|blobs)\/([^/?]+)/.exec(path);
    const [, repository = "", kind, target = ""] = found ?? [];
    const manifest = manifests.get(`${repository}/${target}`);
    if (kind === "manifests" && manifest) {
      response.writeHead(200, { "content-type": manifest.mediaType, "content-length": manifest.bytes.length });
      response.end(manifest.bytes);
      return;
    }
    const blob = blobs.get(target);
    if (kind === "blobs" && blob) return sendBlob(request, response, blob);
    response.writeHead(404, { "content-type": "application/json" });
    response.end(JSON.stringify({ errors: [{ code: "MANIFEST_UNKNOWN", message: "manifest unknown" }] }));
  };

  const upload = (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? "", "http://here");
    const answer = (status: number, headers: Record<string, string> = {}) => {
      response.writeHead(status, { location: url.pathname, ...headers });
      response.end();
    };
    if (request.method === "POST") {
      request.resume();
      const id = String(uploads.size + 1);
      uploads.set(`${url.pathname}${id}`, Buffer.alloc(0));
      return answer(202, { location: `${url.pathname}${id}?state=a%2Bb` });
    }
    const has = uploads.get(url.pathname);
    if (!has) return answer(404);
    if (request.method === "GET") return answer(204, { range: `0-${Math.max(0, has.length - 1)}` });
    const from = /^(\d+)-/.exec(request.headers["content-range"] ?? "")?.[1];
    if (from !== undefined && Number(from) !== has.length) return answer(416);
    let all = has;
    let here = 0;
    request.on("data", (chunk: Buffer) => {
      const room = cuts.times > 0 ? cuts.bytes - here : chunk.length;
      all = Buffer.concat([all, chunk.subarray(0, room)]);
      here += chunk.length;
      uploads.set(url.pathname, all);
      if (cuts.times === 0 || here < cuts.bytes) return;
      cuts.times--;
      request.removeAllListeners("data").socket.destroy();
    });
    request.on("end", () => {
      if (request.method === "PATCH") return answer(202, { range: `0-${all.length - 1}` });
      const digest = url.searchParams.get("digest") ?? "";
      if (digest !== sha256(all)) return answer(400);
      blobs.set(digest, all);
      answer(201);
    });
  };

  const putManifest = (request: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const [, name = ""] = /^\/v2\/(.+)$/.exec((request.url ?? "").replace("/manifests/", "/")) ?? [];
      const bytes = Buffer.concat(chunks);
      manifests.set(name, { mediaType: request.headers["content-type"] ?? "", bytes });
      response.writeHead(201, { "docker-content-digest": sha256(bytes) });
      response.end();
    });
  };

  const listener = (request: IncomingMessage, response: ServerResponse) => {
    const { range } = request.headers;
    requests.push(`${request.method} ${request.url}${range === undefined ? "" : ` ${range}`}`);
    const special = handlers.find(([text]) => (request.url ?? "").includes(text));
    if (special) special[1](request, response, () => ordinary(request, response));
    else ordinary(request, response);
  };
  const server = tls ? createSecure(tls, listener) : createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  const registry: FakeRegistry = {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    manifests,
    cutUploads(times, bytes) {
      Object.assign(cuts, { times, bytes });
    },
    blob(bytes) {
      const digest = sha256(bytes);
      blobs.set(digest, bytes);
      return digest;
    },
    manifest(repository, target, mediaType, bytes) {
      manifests.set(`${repository}/${target}`, { mediaType, bytes: Buffer.from(bytes) });
    },
    async add(repository, tag, layers) {
      const served = await Promise.all(
        layers.map(async (files) => {
          const tar = await tarOf(files);
          const bytes = gzipSync(tar, { level: 1 });
          return { digest: registry.blob(bytes), diffID: sha256(tar), bytes };
        }),
      );
      const config = Buffer.from(
        JSON.stringify({
          architecture: "amd64",
          os: "linux",
          config: { Cmd: ["/bin/true"] },
          rootfs: { type: "layers", diff_ids: served.map((layer) => layer.diffID) },
        }),
      );
      const manifest = JSON.stringify({
        schemaVersion: 2,
        mediaType: MANIFEST,
        config: { mediaType: CONFIG, digest: registry.blob(config), size: config.length },
        layers: served.map(({ digest, bytes }) => ({ mediaType: LAYER, digest, size: bytes.length })),
      });
      const digest = sha256(Buffer.from(manifest));
      for (const target of [tag, digest]) registry.manifest(repository, target, MANIFEST, manifest);
      return { digest, config: sha256(config), layers: served };
    },
    on(text, handler) {
      handlers.unshift([text, handler]);
    },
    behave() {
      handlers = [];
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return registry;
}

function sendBlob(request: IncomingMessage, response: ServerResponse, blob: Buffer): void {
  const from = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? "")?.[1] ?? 0);
  const rest = blob.subarray(from);
  response.writeHead(from > 0 ? 206 : 200, {
    "content-length": rest.length,
    ...(from > 0 && { "content-range": `bytes ${from}-${blob.length - 1}/${blob.length}` }),
  });
  response.end(rest);
}

export function sha256(bytes: Buffer): string {
  return `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
}

/** A tar of these files. */
export async function tarOf(files: Record<string, string>): Promise<Buffer> {
  const entries = Object.entries(files).map(
    ([path, text]): OutgoingEntry => ({
      record: fileRecord(path, Buffer.byteLength(text)),
      content: [Buffer.from(text)],
    }),
  );
  const chunks: Uint8Array[] = [];
  for await (const chunk of writeArchive(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Text that does not compress, so that a layer is larger than any buffer on the way. */
export function noise(bytes: number): string {
  let text = "";
  for (let i = 0; text.length < bytes; i++) text += createHash("sha256").update(String(i)).digest("base64");
  return text.slice(0, bytes);
}
