/** Layers that the registry does not have, from where the manifest says that their maker has them. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { Digest } from "../../../runner/oci/types.ts";
import { ForeignBlobs } from "../../../runner/registry/foreign-blobs.ts";
import { RegistryError } from "../../../runner/registry/registry-error.ts";
import { type FakeRegistry, fakeRegistry, MANIFEST, noise, sha256 } from "../../support/fake-registry.ts";
import { need } from "../../support/need.ts";
import { workspace } from "../../support/tsbox.ts";

const able = need(["user-namespace", "not-root"], test);
const FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip";

/** An image `app:1` of an own and a foreign layer, whose urls are these. */
async function serve(registry: FakeRegistry, urls: unknown, size?: number) {
  const { digest, layers } = await registry.add("app", "1", [{ own: "1" }, { foreign: noise(200_000) }]);
  const manifest = JSON.parse((registry.manifests.get(`app/${digest}`) as { bytes: Buffer }).bytes.toString());
  Object.assign(manifest.layers[1], { mediaType: FOREIGN, urls, ...(size !== undefined && { size }) });
  registry.manifest("app", "1", MANIFEST, JSON.stringify(manifest));
  const [, foreign] = layers as [unknown, { digest: string; bytes: Buffer }];
  registry.on(`blobs/${foreign.digest}`, (_request, response) => {
    response.writeHead(404);
    response.end();
  });
  return { name: `${registry.host}/app:1`, foreign };
}

interface Maker extends AsyncDisposable {
  url: string;
  /** "PATH RANGE AUTHORIZATION" of each request. */
  seen: string[];
}

/** Serves bytes; with `cut` the first answer breaks off there. */
async function maker(bytes: () => Buffer, cut = 0): Promise<Maker> {
  const seen: string[] = [];
  const server: Server = createServer((request, response) => {
    const { range, authorization } = request.headers;
    seen.push(`${request.url} ${range} ${authorization}`);
    const from = Number(/^bytes=(\d+)-/.exec(range ?? "")?.[1] ?? 0);
    const all = bytes();
    response.writeHead(from > 0 ? 206 : 200, {
      "content-length": all.length - from,
      ...(from > 0 && { "content-range": `bytes ${from}-${all.length - 1}/${all.length}` }),
    });
    if (cut > 0 && seen.length === 1) response.write(all.subarray(0, cut), () => response.destroy());
    else response.end(all.subarray(from));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

able(
  "a foreign layer comes from its maker, goes on where it broke off, and nobody's credentials go there",
  async () => {
    let bytes: Buffer = Buffer.alloc(0);
    await using registry = await fakeRegistry();
    await using other = await maker(() => bytes, 100_000);
    await using box = workspace();
    const { name, foreign } = await serve(registry, [
      "gopher://nowhere",
      `${other.url.replace("//", "//me:secret@")}/layer`,
    ]);
    bytes = foreign.bytes;
    const pulled = await box.tsbox("pull", "--creds", "me:secret", name);
    assert.is(pulled.code, 0, pulled.stderr);
    assert.is(other.seen.length, 2);
    assert.is(other.seen[0], "/layer undefined undefined");
    assert.match(other.seen[1] as string, /^\/layer bytes=\d+- undefined$/);
    const check = await box.tsbox("system", "check");
    assert.is(check.code, 0, check.stdout);
  },
);

able("a registry of one's own that has the layer is asked first, and what is pushed leaves it out", async () => {
  await using registry = await fakeRegistry();
  await using other = await maker(() => Buffer.alloc(0));
  await using box = workspace();
  const { name, foreign } = await serve(registry, [`${other.url}/layer`]);
  registry.behave();
  assert.is((await box.tsbox("pull", name)).code, 0);
  assert.equal(other.seen, []);
  await using second = await fakeRegistry();
  const pushed = await box.tsbox("push", name, `${second.host}/copy:1`);
  assert.is(pushed.code, 0, pushed.stderr);
  assert.match(pushed.stderr, `${foreign.digest.slice(7, 19)}: left to its maker to give away`);
  assert.is(
    second.requests.some((line) => line.includes(foreign.digest)),
    false,
  );
  const manifest = JSON.parse((second.manifests.get("copy/1") as { bytes: Buffer }).bytes.toString());
  assert.equal(manifest.layers[1].urls, [`${other.url}/layer`]);
});

able("a maker that lies, or has it no more gets a refusal, and nothing is kept", async () => {
  await using registry = await fakeRegistry();
  await using box = workspace();
  let bytes: Buffer = Buffer.alloc(0);
  await using other = await maker(() => bytes);
  const { name, foreign } = await serve(registry, [`${other.url}/layer`]);
  bytes = Buffer.from(foreign.bytes);
  bytes[5000] = (bytes[5000] as number) ^ 1;
  assert.not.equal(sha256(bytes), foreign.digest);
  const wrong = await box.tsbox("pull", name);
  assert.is(wrong.code, 1);
  assert.match(wrong.stderr, `want ${foreign.digest}`);
  assert.is((await box.tsbox("images", "-q")).stdout, "");
  bytes = Buffer.concat([foreign.bytes, Buffer.from("more")]);
  assert.match((await box.tsbox("pull", name)).stderr, "more than the");
  for (const [urls, says] of [
    [["file:///etc/passwd", "nonsense"], "neither its registry nor the addresses in its manifest serve it"],
    ["https://a.test/", "the urls of"],
    [[7], "the urls of"],
  ] as [unknown, string][]) {
    const image = await serve(registry, urls);
    const refused = await box.tsbox("--debug", "pull", "--retry", "0", image.name);
    assert.is(refused.code, 1);
    assert.ok(refused.stderr.includes(says), refused.stderr);
  }
});

test("where the registry speaks HTTPS, plain HTTP is not asked", async () => {
  await using other = await maker(() => Buffer.from("x"));
  const descriptor = { mediaType: FOREIGN, digest: sha256(Buffer.from("x")) as Digest, size: 1, urls: [other.url] };
  const blobs = new ForeignBlobs({ retries: 0 });
  try {
    const refusal = new RegistryError("no", 404);
    const error = await blobs.blob(descriptor, 0, "pull", refusal, true).catch((thrown: Error) => thrown);
    assert.match(((error as Error).cause as Error).message, "is not HTTPS");
    assert.equal(other.seen, []);
    (await blobs.blob(descriptor, 0, "pull", refusal, false)).stream.resume();
    assert.is(other.seen.length, 1);
  } finally {
    blobs.close();
  }
});

test.run();
