/** tsbox.lock: what a tag means in a project, whatever the registry says today. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type FakeRegistry, fakeRegistry, INDEX, MANIFEST, sha256 } from "../support/fake-registry.ts";
import { need } from "../support/need.ts";
import { type Result, type Workspace, workspace } from "../support/tsbox.ts";

const able = need(["user-namespace", "not-root"], test);
const arch = process.arch === "arm64" ? "arm64" : "amd64";
const other = arch === "arm64" ? "amd64" : "arm64";

/** A project's folder in a world with a registry. */
interface Project extends AsyncDisposable {
  registry: FakeRegistry;
  name: string;
  lock(): { version: number; images: Record<string, { digest: string; platforms: Record<string, string> }> };
  text(): string;
  write(text: string): void;
  tsbox(...args: string[]): Promise<Result>;
  run(env: NodeJS.ProcessEnv, ...args: string[]): Promise<Result>;
  /** Which layers a container of the name would have, by the layer folders of its plan. */
  lowers(...args: string[]): Promise<string>;
  box: Workspace;
}

async function project(): Promise<Project> {
  const registry = await fakeRegistry();
  const box = workspace();
  const cwd = join(box.dir, "project");
  mkdirSync(cwd);
  const file = join(cwd, "tsbox.lock");
  const run = (env: NodeJS.ProcessEnv, ...args: string[]) => box.run(args, { cwd, env });
  const name = `${registry.host}/app:1`;
  return {
    registry,
    name,
    box,
    text: () => readFileSync(file, "utf8"),
    lock: () => JSON.parse(readFileSync(file, "utf8")),
    write: (text) => writeFileSync(file, text),
    run,
    tsbox: (...args) => run({}, ...args),
    async lowers(...args) {
      const { code, stdout, stderr } = await run({}, "run", "--print-plan", ...args, name, "true");
      assert.is(code, 0, stderr);
      const plan = JSON.parse(stdout) as { ops: { op: string; lowers?: string[] }[] };
      return JSON.stringify(plan.ops.find(({ op }) => op === "overlay")?.lowers);
    },
    async [Symbol.asyncDispose]() {
      await box[Symbol.asyncDispose]();
      await registry[Symbol.asyncDispose]();
    },
  };
}

/** Serves an index of one image for this machine and one for another. */
async function addIndex(registry: FakeRegistry, text: string): Promise<{ index: string; here: string; there: string }> {
  const here = await registry.add("app", "here", [{ a: text }]);
  const there = await registry.add("app", "there", [{ a: `${text} elsewhere` }]);
  const entry = (digest: string, architecture: string) => ({
    mediaType: MANIFEST,
    digest,
    size: 1,
    platform: { os: "linux", architecture },
  });
  const bytes = JSON.stringify({
    schemaVersion: 2,
    mediaType: INDEX,
    manifests: [entry(there.digest, other), entry(here.digest, arch), entry(sha256(Buffer.from("x")), "unknown")].map(
      (one, number) => (number === 2 ? { ...one, platform: { os: "unknown", architecture: "unknown" } } : one),
    ),
  });
  const index = sha256(Buffer.from(bytes));
  for (const target of ["1", index]) registry.manifest("app", target, INDEX, bytes);
  return { index, here: here.digest, there: there.digest };
}

test("lock writes what the tag means for every platform, sorted and readable", async () => {
  await using here = await project();
  const served = await addIndex(here.registry, "one");
  const { code, stdout, stderr } = await here.tsbox("lock", here.name);
  assert.is(code, 0, stderr);
  assert.is(stdout, `${here.name} added ${served.index} (linux/amd64, linux/arm64)\n`);
  assert.equal(here.lock(), {
    version: 1,
    images: {
      [here.name]: {
        digest: served.index,
        platforms: { [`linux/${arch}`]: served.here, [`linux/${other}`]: served.there },
      },
    },
  });
  const [first, ...rest] = here.text().split("\n");
  assert.is(first, "{");
  assert.is(rest.at(-1), "");
  const again = await here.tsbox("lock", here.name);
  assert.match(again.stdout, / unchanged /);
});

test("an image without index is locked for the platform that its config names", async () => {
  await using here = await project();
  const served = await here.registry.add("app", "1", [{ a: "one" }]);
  assert.is((await here.tsbox("lock", here.name)).code, 0);
  assert.equal(here.lock().images[here.name], { digest: served.digest, platforms: { "linux/amd64": served.digest } });
});

able("what is locked is pulled and run though the tag has moved", async () => {
  await using here = await project();
  const old = await addIndex(here.registry, "one");
  await here.tsbox("lock", here.name);
  const fresh = await addIndex(here.registry, "two");

  const pulled = await here.tsbox("pull", here.name);
  assert.is(pulled.code, 0, pulled.stderr);
  const [image] = JSON.parse((await here.tsbox("inspect", here.name)).stdout);
  assert.is(image.Digest, old.here);
  assert.equal(image.RepoDigests, [`${here.name.replace(/:1$/, "")}@${old.index}`]);
  const locked = await here.lowers("--frozen");

  // elsewhere the tag is what the registry says, and the store's name moves on
  const elsewhere = await here.box.tsbox("pull", here.name);
  assert.is(elsewhere.code, 0, elsewhere.stderr);
  assert.is(JSON.parse((await here.tsbox("inspect", here.name)).stdout)[0].Digest, fresh.here);
  assert.is(await here.lowers(), locked, "the lock decides, not the store's name");

  const drifted = await here.tsbox("run", "--frozen", "--print-plan", here.name, "true");
  assert.is(drifted.code, 125);
  assert.ok(drifted.stderr.includes(`the store's has digest ${fresh.here}, locked is ${old.here}`), drifted.stderr);
  assert.is((await here.tsbox("pull", "--frozen", here.name)).code, 0);
  assert.is(await here.lowers("--frozen"), locked);
});

able("lock --check tells that a tag has moved, --update follows it", async () => {
  await using here = await project();
  const old = await addIndex(here.registry, "one");
  await here.tsbox("lock", here.name);
  assert.is((await here.tsbox("lock", "--check")).code, 0);
  const fresh = await addIndex(here.registry, "two");
  const before = here.text();
  const check = await here.tsbox("lock", "--check");
  assert.is(check.code, 1);
  assert.ok(check.stdout.includes(`updated ${old.index} → ${fresh.index}`), check.stdout);
  assert.is(here.text(), before);
  assert.match((await here.tsbox("lock", here.name)).stdout, /unchanged/);
  assert.is((await here.tsbox("lock", "--update")).code, 0);
  assert.is(here.lock().images[here.name]?.digest, fresh.index);
  assert.is((await here.tsbox("lock", "--remove", here.name)).code, 0);
  assert.equal(here.lock().images, {});
});

able("another platform is added from the index that was locked, not from what the tag is now", async () => {
  await using here = await project();
  const old = await addIndex(here.registry, "one");
  await here.tsbox("lock", "--platform", `linux/${arch}`, here.name);
  assert.equal(here.lock().images[here.name]?.platforms, { [`linux/${arch}`]: old.here });
  await addIndex(here.registry, "two");
  const frozen = await here.tsbox("pull", "--frozen", "--platform", `linux/${other}`, here.name);
  assert.is(frozen.code, 1);
  assert.match(frozen.stderr, new RegExp(`it is not locked for linux/${other}`));
  const { code, stderr } = await here.tsbox("lock", "--platform", `linux/${other}`, here.name);
  assert.is(code, 0, stderr);
  assert.equal(here.lock().images[here.name], {
    digest: old.index,
    platforms: { [`linux/${arch}`]: old.here, [`linux/${other}`]: old.there },
  });
});

able("--frozen refuses what is not locked, by flag and by variable; ids and digests need no lock", async () => {
  await using here = await project();
  const served = await here.registry.add("app", "1", [{ a: "one" }]);
  const refused = await here.tsbox("pull", "--frozen", here.name);
  assert.is(refused.code, 1);
  assert.match(refused.stderr, /Cannot use lock file ".*tsbox\.lock": it does not exist\nhint: "tsbox lock/);
  here.write('{"version":1,"images":{}}');
  for (const env of [{ TSBOX_FROZEN: "1" }, {}]) {
    const flags = "TSBOX_FROZEN" in env ? [] : ["--frozen"];
    const run = await here.run(env, "run", ...flags, "--rm", here.name, "true");
    assert.is(run.code, 125);
    assert.match(run.stderr, /with --frozen: it is not in .*tsbox\.lock\nhint: "tsbox lock/);
  }
  assert.is(here.registry.requests.length, 0, "nobody was asked");
  const byDigest = await here.tsbox("pull", "--frozen", `${here.name}@${served.digest}`);
  assert.is(byDigest.code, 0, byDigest.stderr);
  const id = served.config.slice(7, 19);
  assert.is((await here.tsbox("run", "--frozen", "--print-plan", id, "true")).code, 0);
  assert.is((await here.run({ TSBOX_FROZEN: "0" }, "pull", here.name)).code, 0);
});

able("--offline uses what is in the store, names what is missing, and asks nobody", async () => {
  await using here = await project();
  const served = await addIndex(here.registry, "one");
  const missing = await here.tsbox("run", "--offline", here.name, "true");
  assert.is(missing.code, 125);
  assert.match(missing.stderr, /Cannot pull ".*": it is not in the store, and --offline forbids the network\nhint: /);
  assert.is(here.registry.requests.length, 0);
  assert.is((await here.tsbox("pull", here.name)).code, 0);
  here.registry.requests.length = 0;
  assert.is((await here.run({ TSBOX_OFFLINE: "1" }, "pull", here.name)).stdout, `${here.name}\n`);
  await here.lowers("--offline", "--pull", "always");
  assert.is((await here.tsbox("lock", "--offline", here.name)).code, 0);
  assert.equal(here.lock().images[here.name], { digest: served.index, platforms: { "linux/amd64": served.here } });

  here.write(here.text().replace(served.here, sha256(Buffer.from("another"))));
  const drifted = await here.tsbox("pull", "--offline", here.name);
  assert.is(drifted.code, 1);
  assert.match(drifted.stderr, /the locked image sha256:\w+ is not in the store, and --offline/);
  assert.is(here.registry.requests.length, 0);
});

able("a short name is locked as what it means, and means that from then on", async () => {
  await using here = await project();
  await using second = await fakeRegistry();
  const served = await second.add("team/tool", "1", [{ a: "one" }]);
  const file = here.box.env.CONTAINERS_REGISTRIES_CONF as string;
  writeFileSync(file, `unqualified-search-registries = ["${here.registry.host}", "${second.host}"]`);
  const locked = await here.tsbox("lock", "team/tool:1");
  assert.is(locked.code, 0, locked.stderr);
  assert.equal(Object.keys(here.lock().images), [`${second.host}/team/tool:1`]);
  here.registry.requests.length = 0;
  const pulled = await here.tsbox("pull", "--frozen", "-q", "team/tool:1");
  assert.is(pulled.stdout, `${second.host}/team/tool:1\n`, pulled.stderr);
  assert.equal(here.registry.requests, []);
  const run = await here.tsbox("run", "--frozen", "--print-plan", "team/tool:1", "true");
  assert.is(run.code, 0, run.stderr);
  assert.is(here.lock().images[`${second.host}/team/tool:1`]?.digest, served.digest);
});

test("a lock file that is no lock file is refused with the reason", async () => {
  await using here = await project();
  const name = "docker.io/library/a:1";
  const digest = `sha256:${"0".repeat(64)}`;
  const cases: [text: string, reason: RegExp][] = [
    ["nonsense", /it is not JSON/],
    ["<<<<<<< ours\n", /it has merge conflicts/],
    ["[]", /it is not an object/],
    ['{"version":2,"images":{}}', /it has version 2, this tsbox reads 1/],
    ['{"version":1}', /"images" is not an object/],
    ['{"version":1,"images":{"a":{}}}', /"a" is not a full image name with a tag/],
    ['{"version":1,"images":{"\\u001b[2Jx":{}}}', /"\\x1b\[2Jx" is not a full image name/],
    [`{"version":1,"images":{"${name}":{"digest":"sha1:1","platforms":{}}}}`, /needs a "digest" and "platforms"/],
    [`{"version":1,"images":{"${name}":{"digest":"${digest}","platforms":{"a b":1}}}}`, /names the platform "a b"/],
    [`{"version":1,"images":{"${name}":{"digest":"${digest}","platforms":{"linux/amd64":1}}}}`, /has no digest for/],
  ];
  for (const [text, reason] of cases) {
    here.write(text);
    const { code, stderr } = await here.tsbox("run", "a:1", "true");
    assert.is(code, 125);
    assert.match(stderr, reason);
  }
  const missing = await here.run({ TSBOX_LOCK: "other.lock" }, "run", "a:1", "true");
  assert.match(missing.stderr, /other\.lock": it does not exist/);
});

test.run();
