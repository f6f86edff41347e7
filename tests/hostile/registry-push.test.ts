/** A registry that errs or lies while it is given an image: the push ends well, or in one clear sentence; secrets go to nobody else. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type FakeRegistry, fakeRegistry, noise } from "../support/fake-registry.ts";
import { need } from "../support/need.ts";
import { type Result, type Workspace, workspace } from "../support/tsbox.ts";

const able = need(["user-namespace", "not-root"], test);

interface Scene {
  box: Workspace;
  registry: FakeRegistry;
  /** Digest of the image's manifest. */
  digest: string;
  large: string;
  push(...flags: string[]): Promise<Result>;
}

/** An image with a layer of 1 MiB in the store, and a registry that has nothing. */
function scene(title: string, act: (scene: Scene) => Promise<void>): void {
  able(title, async () => {
    await using box = workspace();
    await using source = await fakeRegistry();
    await using registry = await fakeRegistry();
    const { digest, layers } = await source.add("app", "1", [{ "etc/a": "one" }, { large: noise(1 << 20) }]);
    const pulled = await box.tsbox("pull", "-q", `${source.host}/app:1`);
    assert.is(pulled.code, 0, pulled.stderr);
    const push = (...flags: string[]) =>
      box.tsbox("push", "--retry-delay", "10ms", ...flags, `${source.host}/app:1`, `${registry.host}/team/app:1`);
    await act({ box, registry, digest, large: layers[1]?.digest ?? "", push });
  });
}

function arrived({ registry, digest }: Scene, result: Result): void {
  assert.is(result.code, 0, result.stderr);
  assert.match(result.stdout, `digest: ${digest}`);
  assert.ok(registry.manifests.has("team/app/1"));
}

function refused({ registry }: Scene, result: Result, ...words: RegExp[]): void {
  assert.is(result.code, 1, "it was accepted");
  assert.match(result.stderr, /^tsbox: Cannot push /m);
  assert.not.match(result.stderr, /\n\s+at /);
  for (const word of words) assert.match(result.stderr, word);
  assert.not(registry.manifests.has("team/app/1"));
}

const after = (registry: FakeRegistry, method: string) => registry.requests.filter((line) => line.startsWith(method));

scene("connections that break: what arrived is not sent again", async (all) => {
  all.registry.cutUploads(6, 100_000);
  arrived(all, await all.push("--retry", "2"));
  assert.ok(after(all.registry, "PATCH").length > 6);
  assert.ok(after(all.registry, "GET /v2/team/app/blobs/uploads/").length >= 6);
});

scene("a registry that forgets broken uploads gets all of it again", async (all) => {
  all.registry.cutUploads(1, 100_000);
  all.registry.on("/blobs/uploads/", (request, response, ordinary) => {
    if (request.method !== "GET") return ordinary();
    response.writeHead(404);
    response.end();
  });
  arrived(all, await all.push());
});

scene("one that says that it has more than there is, or another part, is not believed", async (all) => {
  all.registry.cutUploads(2, 100_000);
  let times = 0;
  all.registry.on("/blobs/uploads/", (request, response, ordinary) => {
    if (request.method !== "GET") return ordinary();
    response.writeHead(204, { range: times++ === 0 ? "0-99999999" : "0-5000" });
    response.end();
  });
  arrived(all, await all.push());
});

scene("a connection that never holds ends in a sentence", async (all) => {
  all.registry.on("/blobs/uploads/", (request, _, ordinary) => {
    if (request.method === "PATCH") return void request.socket.destroy();
    ordinary();
  });
  refused(all, await all.push("--retry", "1"), /socket hang up|ECONNRESET|EPIPE/);
});

scene("too many requests and a server's fault are waited out, as long as the registry asks", async (all) => {
  const told: Record<string, number> = {};
  all.registry.on("/v2/", (request, response, ordinary) => {
    const key = `${request.method}`;
    told[key] = (told[key] ?? 0) + 1;
    if (told[key] > 1) return ordinary();
    request.resume();
    response.writeHead(key === "POST" ? 503 : 429, { "retry-after": key === "PUT" ? new Date().toUTCString() : "0" });
    response.end();
  });
  arrived(all, await all.push());
});

scene("who asks to wait an hour is not waited for", async (all) => {
  all.registry.on("/v2/", (_, response) => {
    response.writeHead(429, { "retry-after": "3600" });
    response.end();
  });
  refused(all, await all.push(), /registry answered 429[\s\S]*hint: too many requests/);
  assert.is(all.registry.requests.length, 1);
});

scene("a limit on the size of a request is told before everything was sent", async (all) => {
  all.registry.on("/blobs/uploads/", (request, response, ordinary) => {
    if (request.method !== "PATCH") return ordinary();
    response.writeHead(413);
    response.end("<html>too large</html>");
  });
  refused(all, await all.push(), /registry answered 413 with a web page[\s\S]*hint: something before the registry/);
});

scene("a registry that keeps another manifest than it was sent is found out", async (all) => {
  all.registry.on("/manifests/", (request, response) => {
    request.resume();
    response.writeHead(201, { "docker-content-digest": `sha256:${"0".repeat(64)}` });
    response.end();
  });
  refused(all, await all.push(), /the registry keeps sha256:0+, but sha256:[0-9a-f]{64} was sent/);
});

scene("a registry that says it has a blob of another size is sent ours", async (all) => {
  all.registry.on(all.large, (request, response, ordinary) => {
    if (request.method !== "HEAD") return ordinary();
    response.writeHead(200, { "content-length": "5" });
    response.end();
  });
  arrived(all, await all.push());
  assert.is(after(all.registry, "PATCH").length, 3);
});

for (const location of ["http://[", "ftp://127.0.0.1/x", "file:///etc/passwd", undefined]) {
  scene(`an upload that is to go on at ${location} goes nowhere`, async (all) => {
    all.registry.on("/blobs/uploads/", (request, response) => {
      request.resume();
      response.writeHead(202, location === undefined ? {} : { location });
      response.end();
    });
    refused(all, await all.push(), /redirect|does not say where to go on/);
  });
}

scene("an upload that goes on at another host goes there without credentials", async (all) => {
  const { box, registry } = all;
  await using elsewhere = await fakeRegistry();
  const seen: (string | undefined)[] = [];
  elsewhere.on("/", (request, _, ordinary) => {
    seen.push(request.headers.authorization);
    ordinary();
  });
  registry.on("/v2/", (request, response, ordinary) => {
    if (request.headers.authorization === undefined) {
      request.resume();
      response.writeHead(401, { "www-authenticate": 'Basic realm="here"' });
      response.end();
      return;
    }
    if (request.method !== "POST") return ordinary();
    request.resume();
    response.writeHead(307, { location: `http://${elsewhere.host}${request.url}` });
    response.end();
  });
  const file = join(box.dir, "auth.json");
  const auth = Buffer.from("me:secret").toString("base64");
  writeFileSync(file, JSON.stringify({ auths: { [registry.host]: { auth } } }));
  const result = await all.push("--authfile", file);
  assert.is(result.code, 0, result.stderr);
  assert.ok(seen.length > 3);
  assert.ok(seen.every((authorization) => authorization === undefined));
});

scene("a token server elsewhere is shown the password, and nobody it leads to", async (all) => {
  const { box, registry } = all;
  await using thief = await fakeRegistry();
  const seen: (string | undefined)[] = [];
  thief.on("/", (request, response) => {
    seen.push(request.headers.authorization);
    response.end(JSON.stringify({ token: "bad" }));
  });
  registry.on("/v2/", (request, response) => {
    request.resume();
    response.writeHead(401, { "www-authenticate": `Bearer realm="http://${registry.host}/token",service="x"` });
    response.end();
  });
  registry.on("/token", (request, response) => {
    request.resume();
    response.writeHead(307, { location: `http://${thief.host}/token` });
    response.end();
  });
  const file = join(box.dir, "auth.json");
  for (const [entry, asked] of [
    [{ auth: Buffer.from("me:secret").toString("base64") }, true],
    [{ identitytoken: "secret-identity" }, false],
  ] as const) {
    writeFileSync(file, JSON.stringify({ auths: { [registry.host]: entry } }));
    seen.splice(0);
    const result = await all.push("--authfile", file);
    refused(all, result);
    assert.not.match(result.stderr, "secret");
    assert.ok(seen.every((authorization) => authorization === undefined));
    assert.is(seen.length > 0, asked);
  }
});

for (const [what, header, token] of [
  ["no token server", "Bearer", ""],
  ["a token server that is a file", 'Bearer realm="file:///etc/passwd"', ""],
  ["a token that is a web page", "", "<html>"],
  ["a token with a line break in it", "", '{"token":"a\\r\\nx: y"}'],
  ["a token that is a number", "", '{"token":7}'],
] as const) {
  scene(`${what} is refused`, async (all) => {
    all.registry.on("/v2/", (request, response) => {
      request.resume();
      const challenge = header || `Bearer realm="http://${all.registry.host}/token"`;
      response.writeHead(401, { "www-authenticate": challenge });
      response.end();
    });
    all.registry.on("/token", (_, response) => response.end(token));
    refused(all, await all.push(), /token/);
  });
}

test.run();
