import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseReference } from "../../../runner/oci/reference.ts";
import { RegistryClient } from "../../../runner/registry/client.ts";
import { RegistryError } from "../../../runner/registry/registry-error.ts";
import { type FakeRegistry, fakeRegistry, MANIFEST } from "../../support/fake-registry.ts";

function client(registry: FakeRegistry, env: NodeJS.ProcessEnv = {}): RegistryClient {
  return new RegistryClient(parseReference(`${registry.host}/app:1`), { env, retryDelay: 1 });
}

async function failure(promise: Promise<unknown>): Promise<RegistryError> {
  try {
    await promise;
  } catch (error) {
    assert.instance(error, RegistryError, String(error));
    return error as RegistryError;
  }
  throw new Error("it did not fail");
}

test("manifest() gets a token where the registry asks for one, and sends it from then on", async () => {
  await using registry = await fakeRegistry();
  const served = await registry.add("app", "1", [{ a: "one" }]);
  const seen: (string | undefined)[] = [];
  registry.on("/v2/", (request, response, ordinary) => {
    seen.push(request.headers.authorization);
    if (request.headers.authorization === "Bearer good") return ordinary();
    const realm = `http://${registry.host}/token`;
    response.writeHead(401, {
      "www-authenticate": `Bearer realm="${realm}",service="here",scope="repository:app:pull"`,
    });
    response.end();
  });
  registry.on("/token", (request, response) => {
    assert.match(request.url ?? "", /service=here/);
    assert.match(decodeURIComponent(request.url ?? ""), /scope=repository:app:pull/);
    response.end(JSON.stringify({ token: "good" }));
  });
  const one = client(registry);
  assert.is((await one.manifest()).digest, served.digest);
  await one.manifest();
  one.close();
  assert.equal(seen, [undefined, "Bearer good", "Bearer good"]);
});

test("manifest() sends stored credentials to a registry that asks for them", async () => {
  await using registry = await fakeRegistry();
  await registry.add("app", "1", [{ a: "one" }]);
  const dir = mkdtempSync(join(tmpdir(), "tsbox-auth-"));
  const file = join(dir, "auth.json");
  const auth = Buffer.from("me:secret:word").toString("base64");
  writeFileSync(file, JSON.stringify({ auths: { [registry.host]: { auth } } }));
  registry.on("/v2/", (request, response, ordinary) => {
    if (request.headers.authorization === `Basic ${auth}`) return ordinary();
    response.writeHead(401, { "www-authenticate": 'Basic realm="here"' });
    response.end();
  });
  const one = client(registry, { REGISTRY_AUTH_FILE: file });
  await one.manifest();
  one.close();
  rmSync(dir, { recursive: true });
});

test("a refusal tells status, the registry's words, and what to do", async () => {
  await using registry = await fakeRegistry();
  const one = client(registry);
  const missing = await failure(one.manifest());
  assert.match(missing.message, /^Cannot pull "127.*\/app:1": registry answered 404 MANIFEST_UNKNOWN/);
  assert.is(missing.code, "REGISTRY_NOT_FOUND");
  registry.on("/v2/", (_, response) => {
    response.writeHead(403);
    response.end();
  });
  const denied = await failure(one.manifest());
  one.close();
  assert.is(denied.code, "REGISTRY_DENIED");
  assert.match(denied.hint ?? "", /credentials/);
});

test("control characters of a registry's answer are made visible", async () => {
  await using registry = await fakeRegistry();
  registry.on("/v2/", (_, response) => {
    response.writeHead(403);
    response.end(JSON.stringify({ errors: [{ code: "DENIED", message: "\u001b]0;title\u0007" }] }));
  });
  const one = client(registry);
  const error = await failure(one.manifest());
  one.close();
  assert.not.match(error.message, "\u001b");
});

test("what may pass is tried again: too many requests, a server's fault, a broken connection", async () => {
  await using registry = await fakeRegistry();
  await registry.add("app", "1", [{ a: "one" }]);
  for (const fault of ["429", "503", "reset", "cut"]) {
    let times = 0;
    registry.behave();
    registry.on("/v2/", (_, response, ordinary) => {
      if (times++ > 0) return ordinary();
      if (fault === "reset") return void response.socket?.destroy();
      if (fault === "cut") {
        response.writeHead(200, { "content-type": MANIFEST, "content-length": 500 });
        response.write("{", () => response.destroy());
        return;
      }
      response.writeHead(Number(fault));
      response.end();
    });
    const one = client(registry);
    await one.manifest();
    one.close();
    assert.is(times, 2, fault);
  }
});

test("an answer that stays a failure ends after some tries", async () => {
  await using registry = await fakeRegistry();
  registry.on("/v2/", (_, response) => {
    response.writeHead(429);
    response.end();
  });
  const one = client(registry);
  const error = await failure(one.manifest());
  one.close();
  assert.is(error.status, 429);
  assert.ok(registry.requests.length > 1 && registry.requests.length < 10);
});

test("a redirect to another host does not get the credentials", async () => {
  await using registry = await fakeRegistry();
  await using elsewhere = await fakeRegistry();
  const bytes = Buffer.from("the blob");
  const digest = elsewhere.blob(bytes) as `sha256:${string}`;
  let told: string | undefined = "nothing";
  elsewhere.on("/v2/", (request, _, ordinary) => {
    told = request.headers.authorization;
    ordinary();
  });
  registry.on("/v2/", (request, response) => {
    if (request.headers.authorization === undefined) {
      response.writeHead(401, { "www-authenticate": `Bearer realm="http://${registry.host}/token"` });
      response.end();
      return;
    }
    response.writeHead(307, { location: `http://${elsewhere.host}${request.url}` });
    response.end();
  });
  registry.on("/token", (_, response) => response.end(JSON.stringify({ access_token: "good" })));
  const one = client(registry);
  const { stream } = await one.blob({ mediaType: "", digest, size: bytes.length });
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  one.close();
  assert.is(Buffer.concat(chunks).toString(), "the blob");
  assert.is(told, undefined);
});

test("redirects that never end, or lead nowhere, are refused", async () => {
  await using registry = await fakeRegistry();
  registry.on("/v2/", (request, response) => {
    response.writeHead(302, { location: request.url ?? "" });
    response.end();
  });
  const one = client(registry);
  assert.match((await failure(one.manifest())).message, /redirect/);
  registry.behave();
  registry.on("/v2/", (_, response) => {
    response.writeHead(302, { location: "http://[" });
    response.end();
  });
  await failure(one.manifest());
  one.close();
});

test("a manifest of another digest than the one asked for is refused", async () => {
  await using registry = await fakeRegistry();
  const digest = `sha256:${"0".repeat(64)}`;
  registry.manifest("app", digest, MANIFEST, "{}");
  const one = client(registry);
  assert.match((await failure(one.manifest(digest))).message, `expected ${digest}`);
  one.close();
});

test("a manifest larger than any is refused before it is read", async () => {
  await using registry = await fakeRegistry();
  registry.manifest("app", "1", MANIFEST, " ".repeat((4 << 20) + 1));
  const one = client(registry);
  assert.match((await failure(one.manifest())).message, /longer than/);
  one.close();
});

test("blob() says where the bytes begin when the registry ignores ranges", async () => {
  await using registry = await fakeRegistry();
  const bytes = Buffer.from("the blob");
  const digest = registry.blob(bytes) as `sha256:${string}`;
  const one = client(registry);
  const ranged = await one.blob({ mediaType: "", digest, size: 8 }, 4);
  assert.is(ranged.start, 4);
  ranged.stream.resume();
  registry.on("/blobs/", (_, response) => response.end(bytes));
  const whole = await one.blob({ mediaType: "", digest, size: 8 }, 4);
  assert.is(whole.start, 0);
  whole.stream.resume();
  one.close();
});

test("a registry that nothing listens at is told by its address", async () => {
  const one = new RegistryClient(parseReference("127.0.0.1:1/app:1"), { env: {}, retryDelay: 1 });
  const error = await failure(one.manifest());
  one.close();
  assert.match(error.hint ?? "", "127.0.0.1:1");
});

test.run();
