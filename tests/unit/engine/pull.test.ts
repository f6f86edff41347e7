import { mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TsboxError } from "../../../runner/base/error.ts";
import { type Engine, openEngine } from "../../../runner/engine/engine.ts";
import { pull } from "../../../runner/engine/pull.ts";
import { removeImage } from "../../../runner/engine/remove-image.ts";
import { removeTrees } from "../../../runner/engine/remove-trees.ts";
import { resolveImage } from "../../../runner/engine/resolve-image.ts";
import { fakeRegistry, INDEX, MANIFEST, noise } from "../../support/fake-registry.ts";
import { need } from "../../support/need.ts";

const able = need(["user-namespace", "not-root"], test);

/** An engine with a store of its own, removed at the end. */
function freshEngine(): Engine & AsyncDisposable {
  const dir = mkdtempSync(join(tmpdir(), "tsbox-pull-"));
  const engine = openEngine({ root: join(dir, "store") });
  return {
    ...engine,
    async [Symbol.asyncDispose]() {
      await removeTrees(engine, [dir], engine.identity());
    },
  };
}

async function failure(promise: Promise<unknown>): Promise<TsboxError> {
  try {
    await promise;
  } catch (error) {
    return error as TsboxError;
  }
  throw new Error("it did not fail");
}

async function text(engine: Engine, name: string, file: string): Promise<string> {
  const { lowers } = await resolveImage(engine, name, { policy: "never", identity: engine.identity() });
  for (const lower of lowers) {
    try {
      return readFileSync(join(lower, file), "utf8");
    } catch {
      // a layer below
    }
  }
  throw new Error(`no ${file}`);
}

able("pull gets an image, and gets nothing a second time", async () => {
  await using registry = await fakeRegistry();
  await using engine = freshEngine();
  const served = await registry.add("app", "1", [{ a: "one" }, { b: "two" }]);
  const name = `${registry.host}/app:1`;
  const pulled = await pull(engine, name);
  assert.is(pulled.id, served.config);
  assert.is(await text(engine, name, "a"), "one");
  assert.is(await text(engine, name, "b"), "two");
  registry.requests.length = 0;
  await pull(engine, name);
  assert.is(registry.requests.filter((line) => line.includes("/blobs/")).length, 0);
});

able("pull unpacks again from the blobs of the store when only the trees are gone", async () => {
  await using registry = await fakeRegistry();
  await using engine = freshEngine();
  await registry.add("app", "1", [{ a: "one" }, { b: "two" }]);
  const name = `${registry.host}/app:1`;
  await pull(engine, name);
  await removeTrees(engine, [join(engine.root, "layers")], engine.identity());
  await pull(engine, name);
  assert.is(await text(engine, name, "b"), "two");
});

able("pull takes an image that has the same layer many times", async () => {
  await using registry = await fakeRegistry();
  await using engine = freshEngine();
  await registry.add(
    "app",
    "1",
    Array.from({ length: 9 }, () => ({ a: "same" })),
  );
  await pull(engine, `${registry.host}/app:1`);
  assert.is(await text(engine, `${registry.host}/app:1`, "a"), "same");
});

able("two pulls of one image at a time download each blob once", async () => {
  await using registry = await fakeRegistry();
  await using engine = freshEngine();
  const served = await registry.add("app", "1", [{ a: noise(300_000) }, { b: "two" }]);
  const name = `${registry.host}/app:1`;
  await Promise.all([pull(engine, name), pull(engine, name)]);
  for (const { digest } of served.layers) {
    assert.is(registry.requests.filter((line) => line.includes(digest)).length, 1);
  }
});

able("pull goes on where the connection broke", async () => {
  await using registry = await fakeRegistry();
  await using engine = freshEngine();
  const served = await registry.add("app", "1", [{ a: noise(2_000_000) }]);
  const [layer] = served.layers;
  if (!layer) throw new Error("no layer");
  let broken = 0;
  registry.on(layer.digest, (_, response, ordinary) => {
    if (broken++ > 0) return ordinary();
    response.writeHead(200, { "content-length": layer.bytes.length });
    response.write(layer.bytes.subarray(0, 500_000), () => setTimeout(() => response.destroy(), 50));
  });
  await pull(engine, `${registry.host}/app:1`);
  assert.ok(registry.requests.some((line) => /bytes=[1-9]/.test(line)));
  assert.is((await text(engine, `${registry.host}/app:1`, "a")).length, 2_000_000);
});

able("pull refuses a layer of another digest, keeps nothing of it, and gets the right one next time", async () => {
  await using registry = await fakeRegistry();
  await using engine = freshEngine();
  const served = await registry.add("app", "1", [{ a: noise(3_000_000) }]);
  const [layer] = served.layers;
  if (!layer) throw new Error("no layer");
  const bad = Buffer.from(layer.bytes);
  bad[20_000] = (bad[20_000] as number) ^ 0xff;
  registry.on(layer.digest, (_, response) => {
    response.writeHead(200, { "content-length": bad.length });
    // the damage comes long before the end
    response.write(bad.subarray(0, 100_000));
    setTimeout(() => response.end(bad.subarray(100_000)), 200);
  });
  const name = `${registry.host}/app:1`;
  const error = await failure(pull(engine, name));
  assert.is(error.code, "DIGEST_MISMATCH");
  assert.equal(readdirSync(join(engine.root, "tmp")), []);
  registry.behave();
  await pull(engine, name);
  assert.is((await text(engine, name, "a")).length, 3_000_000);
});

able("pull names the object when the connection breaks again and again", async () => {
  await using registry = await fakeRegistry();
  await using engine = freshEngine();
  const served = await registry.add("app", "1", [{ a: noise(500_000) }]);
  const digest = served.layers[0]?.digest ?? "";
  registry.on(digest, (_, response) => {
    response.writeHead(200, { "content-length": 500_000 });
    response.write("x", () => response.destroy());
  });
  const error = await failure(pull(engine, `${registry.host}/app:1`));
  assert.match(error.message, digest);
  assert.match(error.message, /^Cannot /);
});

able("pull refuses a config that is announced larger than any config is", async () => {
  await using registry = await fakeRegistry();
  await using engine = freshEngine();
  const config = { mediaType: "application/vnd.oci.image.config.v1+json", digest: `sha256:${"a".repeat(64)}` };
  registry.manifest(
    "app",
    "1",
    MANIFEST,
    JSON.stringify({ schemaVersion: 2, mediaType: MANIFEST, config: { ...config, size: 8e9 }, layers: [] }),
  );
  const error = await failure(pull(engine, `${registry.host}/app:1`));
  assert.match(error.message, /config .*(large|limit|more than)/);
  assert.is(registry.requests.filter((line) => line.includes("/blobs/")).length, 0);
});

able("pull of an index takes this machine's image and leaves attestations", async () => {
  await using registry = await fakeRegistry();
  await using engine = freshEngine();
  const mine = await registry.add("app", "mine", [{ a: "mine" }]);
  const other = await registry.add("app", "other", [{ a: "other" }]);
  const entry = (digest: string, os: string, architecture: string) => ({
    mediaType: MANIFEST,
    digest,
    size: 1000,
    platform: { os, architecture },
  });
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const manifests = [
    entry(other.digest, "unknown", "unknown"),
    entry(other.digest, "linux", "s390x"),
    entry(mine.digest, "linux", architecture),
  ];
  registry.manifest("app", "1", INDEX, JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
  await pull(engine, `${registry.host}/app:1`);
  assert.is(await text(engine, `${registry.host}/app:1`, "a"), "mine");
});

able("an image that is removed leaves no blob and no tree", async () => {
  await using registry = await fakeRegistry();
  await using engine = freshEngine();
  await registry.add("app", "1", [{ a: "one" }]);
  await pull(engine, `${registry.host}/app:1`);
  await removeImage(engine, `${registry.host}/app:1`, { force: false });
  assert.equal(readdirSync(join(engine.root, "oci/blobs/sha256")), []);
  assert.equal(readdirSync(join(engine.root, "layers", engine.identity().key)), ["origin"]);
  assert.equal(readdirSync(join(engine.root, "tmp")), []);
});

test.run();
