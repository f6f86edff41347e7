/** `build --cache-to` and `--cache-from`: what one machine built, another one finds. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { startRegistry } from "../support/registry.ts";
import { leftovers, storeProblems } from "../support/store.ts";
import { PASSWORD, USER } from "../support/token-server.ts";
import { buildWorkspace, count } from "./support/build.ts";

const onKernel = need("user-namespace", test);
const withRegistry = need(["user-namespace", "docker-registry"], test);

const TEXT = "FROM base\nWORKDIR /w\nCOPY a /a\nENV A=1\nRUN echo r > /r\n";
/** Whoever has not the first step has none of the others. */
const DATED = "FROM base\nRUN cat /proc/sys/kernel/random/uuid > /when\nCOPY a /a\nENV A=1\n";
const STAGES = `FROM base AS tools\nRUN cat /proc/sys/kernel/random/uuid > /made\nFROM base\nENV A=1\nCOPY --from=tools /made /made\n`;
const STEPS_TYPE = "application/vnd.tsbox.build.steps.v1+json";
const MANIFEST = "application/vnd.oci.image.manifest.v1+json";

interface Cache {
  config: { mediaType: string; digest: string; size: number };
  layers: { mediaType: string; digest: string; size: number }[];
}

async function manifestOf(host: string, name: string, tag: string): Promise<Cache> {
  const answer = await fetch(`http://${host}/v2/${name}/manifests/${tag}`, { headers: { accept: MANIFEST } });
  assert.is(answer.status, 200);
  return (await answer.json()) as Cache;
}

async function putBlob(host: string, name: string, bytes: Buffer) {
  const digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  const begun = await fetch(`http://${host}/v2/${name}/blobs/uploads/`, { method: "POST" });
  const place = new URL(begun.headers.get("location") as string, `http://${host}`);
  place.searchParams.set("digest", digest);
  const done = await fetch(place, { method: "PUT", body: new Uint8Array(bytes) });
  assert.is(done.status, 201);
  return { digest, size: bytes.length };
}

onKernel("steps go to another store by a folder", async () => {
  await using here = buildWorkspace();
  here.files({ a: "a" });
  const steps = join(here.dir, "steps");
  const made = await here.build(TEXT, ["--cache-to", `type=local,dest=${steps}`]);
  assert.is(made.code, 0, made.stderr);
  await using there = buildWorkspace();
  there.files({ a: "a" });
  const found = await there.build(TEXT, ["--cache-from", `type=local,src=${steps}`]);
  assert.is(count(found.stderr, "CACHED"), 4, found.stderr);
  assert.is(found.stdout, made.stdout);
  assert.is(await there.inside("cat", "/r", "/a"), "r\na");
  there.files({ a: "b" });
  assert.is(count((await there.build(TEXT, ["--cache-from", `type=local,src=${steps}`])).stderr, "CACHED"), 1);
});

onKernel("a folder that was damaged costs the steps that it damaged, not the build", async () => {
  await using here = buildWorkspace();
  here.files({ a: "a" });
  const steps = join(here.dir, "steps");
  await here.build(DATED, ["--cache-to", `type=local,dest=${steps}`]);
  for (const name of readdirSync(join(steps, "blobs/sha256"))) writeFileSync(join(steps, "blobs/sha256", name), "no");
  await using there = buildWorkspace();
  there.files({ a: "a" });
  const found = await there.build(DATED, ["--cache-from", `type=local,src=${steps}`]);
  assert.is(found.code, 0, found.stderr);
  assert.match(found.stderr, /does not help with a step: Cannot keep blob/);
  assert.is(count(found.stderr, "CACHED"), 0);
  for (const name of readdirSync(join(steps, "steps"))) writeFileSync(join(steps, "steps", name), '{"created":1}');
  await using third = buildWorkspace();
  third.files({ a: "a" });
  const none = await third.build(DATED, ["--cache-from", `type=local,src=${steps}`]);
  assert.is(none.code, 0, none.stderr);
  assert.is(count(none.stderr, "CACHED"), 0);
});

withRegistry("steps go to another store by a registry", async () => {
  await using registry = await startRegistry();
  const ref = `${registry.host}/team/app:cache`;
  await using here = buildWorkspace();
  here.files({ a: "a" });
  const from = ["--cache-from", `type=registry,ref=${ref}`];
  const made = await here.build(TEXT, [...from, "--cache-to", `type=registry,ref=${ref},mode=max`]);
  assert.is(made.code, 0, made.stderr);
  assert.match(made.stderr, /nothing comes from the cache .*: there is none yet/);
  assert.match(made.stderr, /cache written to .*: 4 steps, 3 layers/);
  const manifest = await manifestOf(registry.host, "team/app", "cache");
  assert.is(manifest.config.mediaType, STEPS_TYPE);
  assert.is(manifest.layers.length, 3);

  await using there = buildWorkspace();
  there.files({ a: "a" });
  const found = await there.build(TEXT, from);
  assert.is(count(found.stderr, "CACHED"), 4, found.stderr);
  assert.is(found.stdout, made.stdout);
  assert.is(await there.inside("cat", "/r", "/a"), "r\na");
  // what was found is this store's own from then on
  assert.is(count((await there.build(TEXT)).stderr, "CACHED"), 4);
  assert.equal(storeProblems(there.env.TSBOX_ROOT as string), []);
  // it is an artifact, which nobody takes for an image
  assert.match((await there.tsbox("pull", ref)).stderr, /not an image/);
});

withRegistry("mode=min keeps the image's steps, mode=max those of all stages", async () => {
  await using registry = await startRegistry();
  await using here = buildWorkspace();
  for (const [mode, hits] of [
    ["min", 1],
    ["max", 3],
  ] as const) {
    const ref = `${registry.host}/stages:${mode}`;
    const made = await here.build(STAGES, ["--cache-to", `type=registry,ref=${ref},mode=${mode}`]);
    assert.is(made.code, 0, made.stderr);
    await using there = buildWorkspace();
    const found = await there.build(STAGES, ["--cache-from", ref]);
    assert.is(count(found.stderr, "CACHED"), hits, found.stderr);
    assert.is(found.stdout === made.stdout, mode === "max");
  }
});

withRegistry("a name without tag is that of a cache, as buildah has it", async () => {
  await using registry = await startRegistry();
  const name = `${registry.host}/repo`;
  await using here = buildWorkspace();
  here.files({ a: "a" });
  const made = await here.build(TEXT, ["--cache-to", name, "--cache-from", name]);
  assert.is(made.code, 0, made.stderr);
  const tags = (await (await fetch(`http://${registry.host}/v2/repo/tags/list`)).json()) as { tags: string[] };
  assert.equal(tags.tags, ["buildcache"]);
  await using there = buildWorkspace();
  there.files({ a: "a" });
  assert.is(count((await there.build(TEXT, ["--cache-from", name])).stderr, "CACHED"), 4);
});

withRegistry("type=inline: the image itself tells its steps", async () => {
  await using registry = await startRegistry();
  const name = `${registry.host}/app:1`;
  for (const way of [
    ["--cache-to", "type=inline"],
    ["--build-arg", "BUILDKIT_INLINE_CACHE=1"],
  ]) {
    await using here = buildWorkspace();
    here.files({ a: "a" });
    const made = await here.build(TEXT, ["-t", name, ...way]);
    assert.is(made.code, 0, made.stderr);
    assert.not.match(made.stderr, /no ARG/);
    const pushed = await here.tsbox("push", name);
    assert.is(pushed.code, 0, pushed.stderr);
    await using there = buildWorkspace();
    there.files({ a: "a" });
    const found = await there.build(TEXT, ["--cache-from", name]);
    assert.is(count(found.stderr, "CACHED"), 4, found.stderr);
    assert.is(found.stdout, made.stdout);
  }
  await using plain = buildWorkspace();
  plain.files({ a: "a" });
  await plain.build(TEXT, ["-t", name]);
  await plain.tsbox("push", name);
  await using there = buildWorkspace();
  there.files({ a: "a" });
  const none = await there.build(TEXT, ["--cache-from", name]);
  assert.is(none.code, 0, none.stderr);
  assert.is(count(none.stderr, "holds no steps of tsbox"), 1, none.stderr);
});

withRegistry("a registry's list of steps is not believed", async () => {
  await using registry = await startRegistry();
  await using here = buildWorkspace();
  here.files({ a: "a" });
  await here.build(DATED, ["--cache-to", `type=registry,ref=${registry.host}/app:good`]);
  const good = await manifestOf(registry.host, "app", "good");
  const list = await (await fetch(`http://${registry.host}/v2/app/blobs/${good.config.digest}`)).text();
  // all layers but the first have the bytes of the first
  const parsed = JSON.parse(list) as { steps: Record<string, { layer?: { digest: string; size: number } }> };
  const layers = Object.values(parsed.steps).flatMap(({ layer }) => layer ?? []);
  const [{ digest, size }] = good.layers as [Cache["layers"][0]];
  for (const layer of layers) Object.assign(layer, { digest, size });
  const swapped = JSON.stringify(parsed);
  const lists: [string, RegExp, number][] = [
    ["{", /its list of steps is damaged/, 0],
    ['{"version":2,"steps":{}}', /its list of steps is damaged/, 0],
    ['{"version":1,"steps":{"../../x":{"created":"2020-01-01T00:00:00Z"}}}', /its list of steps is damaged/, 0],
    [list.replaceAll(/"created":"[^"]*"/g, '"created":"\\u001b[31m"'), /its list of steps is damaged/, 0],
    [list.replaceAll(/"diffID":"sha256:./g, '"diffID":"sha256:/'), /its list of steps is damaged/, 0],
    [list.replaceAll(/"mediaType":"[^"]*gzip"/g, '"mediaType":"text/html"'), /its list of steps is damaged/, 0],
    // another chain: none of its trees is this build's
    [list.replaceAll(/"chainID":"sha256:....../g, '"chainID":"sha256:000000'), /./, 0],
    [list.replaceAll("tar+gzip", "tar+zstd"), /not of the kind and size/, 0],
    [swapped, /does not help with a step/, 1],
  ];
  for (const [number, [text, told, hits]] of lists.entries()) {
    const config = { mediaType: STEPS_TYPE, ...(await putBlob(registry.host, "app", Buffer.from(text))) };
    const body = JSON.stringify({ ...good, config });
    const headers = { "content-type": MANIFEST };
    const put = await fetch(`http://${registry.host}/v2/app/manifests/bad`, { method: "PUT", headers, body });
    assert.is(put.status, 201);
    await using there = buildWorkspace();
    there.files({ a: "a" });
    const found = await there.build(DATED, ["--cache-from", `type=registry,ref=${registry.host}/app:bad`]);
    assert.is(found.code, 0, found.stderr);
    assert.match(found.stderr, told);
    assert.is(count(found.stderr, "CACHED"), hits, `${number}: ${found.stderr}`);
    assert.is(await there.inside("cat", "/a"), "a");
    const store = there.env.TSBOX_ROOT as string;
    assert.equal(storeProblems(store), []);
    assert.equal(leftovers(store), []);
  }
});

withRegistry("credentials, for the cache and for base images", async () => {
  await using registry = await startRegistry({ auth: "htpasswd" });
  const ref = `type=registry,ref=${registry.host}/app:cache`;
  await using here = buildWorkspace();
  here.files({ a: "a" });
  const refused = await here.build(TEXT, ["--cache-to", ref]);
  assert.is(refused.code, 1);
  assert.match(refused.stderr, /Cannot write the cache to .*: .*401/);
  assert.match(refused.stderr, /tsbox login/);
  const creds = ["--creds", `${USER}:${PASSWORD}`];
  const made = await here.build(TEXT, ["--cache-to", ref, ...creds]);
  assert.is(made.code, 0, made.stderr);
  await using there = buildWorkspace();
  there.files({ a: "a" });
  const closed = await there.build(TEXT, ["--no-cache", "--cache-from", ref]);
  assert.is(closed.code, 0, closed.stderr);
  await there.run(["login", "-u", USER, "--password-stdin", registry.host], { input: PASSWORD });
  await there.tsbox("builder", "prune", "-a", "-f");
  await there.tsbox("rmi", "img");
  const found = await there.build(TEXT, ["--cache-from", ref]);
  assert.is(count(found.stderr, "CACHED"), 4, found.stderr);
});

onKernel("a registry that is not there: no cache, and an error only where it was to be written", async () => {
  await using box = buildWorkspace();
  box.files({ a: "a" });
  const ref = "type=registry,ref=127.0.0.1:1/app:cache";
  const fast = ["--retry", "0"];
  const read = await box.build(TEXT, ["--cache-from", ref, ...fast]);
  assert.is(read.code, 0, read.stderr);
  assert.is(count(read.stderr, "nothing comes from the cache"), 1);
  const written = await box.build(TEXT, ["-t", "complete", "--cache-to", ref, ...fast]);
  assert.is(written.code, 1);
  assert.match(written.stderr, /Cannot write the cache to "127.0.0.1:1\/app:cache"/);
  assert.is((await box.tsbox("run", "--rm", "complete", "cat", "/r")).stdout, "r\n");
  const ignored = await box.build(TEXT, ["--cache-to", `${ref},ignore-error=true`, ...fast]);
  assert.is(ignored.code, 0, ignored.stderr);
  assert.match(ignored.stderr, /note: Cannot write the cache/);
  await box.tsbox("builder", "prune", "-a", "-f");
  const offline = await box.build("FROM base\nENV NEW=1\n", ["--offline", "--cache-from", ref]);
  assert.is(offline.code, 0, offline.stderr);
  assert.match(offline.stderr, /is not asked: --offline/);
});

test("what is no place for steps", async () => {
  await using box = buildWorkspace();
  const refused: [string, string, RegExp][] = [
    ["--cache-to", "type=gha", /"gha" are not supported[\s\S]*local, registry, inline/],
    ["--cache-from", "type=inline", /types are local, registry/],
    ["--cache-to", "type=registry", /it has no ref/],
    ["--cache-to", "type=local,src=x", /unknown field "src"/],
    ["--cache-to", "type=registry,ref=a/b:c,mode=all", /there is no mode "all"/],
    ["--cache-to", "type=registry,ref=a/b:c,image-manifest=false", /image-manifest=false is not supported/],
    ["--cache-from", "type=registry,ref=A/B C", /Cannot use image reference/],
  ];
  for (const [flag, value, told] of refused) {
    const { code, stderr } = await box.build("FROM scratch\n", [flag, value]);
    assert.is.not(code, 0);
    assert.match(stderr, told);
  }
  assert.is(readFileSync(join(box.context, "Dockerfile"), "utf8"), "FROM scratch\n");
});

test.run();
