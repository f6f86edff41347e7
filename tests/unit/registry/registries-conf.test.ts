import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parse } from "smol-toml";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseReference } from "../../../runner/oci/reference.ts";
import { endpointsOf } from "../../../runner/registry/endpoints.ts";
import { loadRegistriesConf, mergeConf, type RegistriesConf } from "../../../runner/registry/registries-conf.ts";
import { meaningsIn } from "../../../runner/registry/short-names.ts";

function confOf(...texts: string[]): RegistriesConf {
  const conf: RegistriesConf = { rules: [], aliases: new Map(), files: [] };
  for (const text of texts) mergeConf(conf, parse(text), "a.conf");
  return conf;
}

function places(conf: RegistriesConf, name: string, use: "pull" | "push" = "pull"): string[] {
  return endpointsOf(conf, parseReference(name), use).map(
    ({ domain, path, insecure }) => `${domain}/${path}${insecure ? " insecure" : ""}`,
  );
}

test("an image without a rule is where its name says", () => {
  assert.equal(places(confOf(""), "quay.io/a/b"), ["quay.io/a/b"]);
  assert.equal(places(confOf(""), "busybox"), ["docker.io/library/busybox"]);
});

test("the longest prefix counts, and ends at a slash", () => {
  const conf = confOf(`
    [[registry]]
    prefix = "quay.io"
    location = "one.example"
    [[registry]]
    prefix = "quay.io/team"
    location = "two.example/x"
    insecure = true
  `);
  assert.equal(places(conf, "quay.io/a"), ["one.example/a"]);
  assert.equal(places(conf, "quay.io/team/a:1"), ["two.example/x/a insecure"]);
  assert.equal(places(conf, "quay.io/teams/a"), ["one.example/teams/a"]);
  assert.equal(places(conf, "quay.io.evil.example/a"), ["quay.io.evil.example/a"]);
});

test("a wildcard stands for every host below a domain, and not for the domain", () => {
  const conf = confOf('[[registry]]\nprefix = "*.example.com"\ninsecure = true');
  assert.equal(places(conf, "a.example.com/x"), ["a.example.com/x insecure"]);
  assert.equal(places(conf, "b.a.example.com:5000/x"), ["b.a.example.com:5000/x insecure"]);
  assert.equal(places(conf, "example.com/x"), ["example.com/x"]);
  const moved = confOf('[[registry]]\nprefix = "*.example.com"\nlocation = "all.example/kept"');
  assert.equal(places(moved, "a.example.com/x"), ["all.example/kept/x"]);
});

test("mirrors come first, by what is asked for; nothing is pushed to them", () => {
  const conf = confOf(`
    [[registry]]
    location = "docker.io"
    [[registry.mirror]]
    location = "all.example"
    [[registry.mirror]]
    location = "digests.example"
    pull-from-mirror = "digest-only"
    insecure = true
    [[registry.mirror]]
    location = "tags.example"
    pull-from-mirror = "tag-only"
  `);
  const own = "docker.io/library/busybox";
  const [all, digests, tags] = ["all", "digests", "tags"].map((name) => `${name}.example/library/busybox`);
  assert.equal(places(conf, "busybox:1"), [all, tags, own]);
  assert.equal(places(conf, `busybox@sha256:${"0".repeat(64)}`), [all, `${digests} insecure`, own]);
  assert.equal(places(conf, "busybox:1", "push"), [own]);
});

test("a later file's rule replaces an earlier one's for the same prefix", () => {
  const conf = confOf(
    '[[registry]]\nlocation = "a.example"\nblocked = true',
    '[[registry]]\nlocation = "a.example"\nblocked = false',
  );
  assert.equal(places(conf, "a.example/x"), ["a.example/x"]);
});

test("short names: an alias, the list, or Docker Hub", () => {
  const conf = confOf(`
    unqualified-search-registries = ["one.example", "docker.io"]
    [aliases]
    tool = "quay.io/deep/tool"
    gone = ""
  `);
  const names = (name: string) => meaningsIn(conf, name).map(({ domain, path, tag }) => `${domain}/${path}:${tag}`);
  assert.equal(names("tool:2"), ["quay.io/deep/tool:2"]);
  assert.equal(names("busybox"), ["one.example/busybox:latest", "docker.io/library/busybox:latest"]);
  assert.equal(names("gone"), ["one.example/gone:latest", "docker.io/library/gone:latest"]);
  assert.equal(
    meaningsIn(confOf(""), "busybox").map(({ domain }) => domain),
    ["docker.io"],
  );
});

test("the user's files are read with what lies beside them, in order", async () => {
  const dir = mkdtempSync(join(tmpdir(), "tsbox-conf-"));
  try {
    const folder = join(dir, "containers");
    mkdirSync(join(folder, "registries.conf.d"), { recursive: true });
    writeFileSync(join(folder, "registries.conf"), '[aliases]\ntsbox-a = "a.example/1"\ntsbox-b = "a.example/1"');
    writeFileSync(join(folder, "registries.conf.d/20.conf"), '[aliases]\ntsbox-b = "a.example/3"');
    writeFileSync(join(folder, "registries.conf.d/10.conf"), '[aliases]\ntsbox-b = "a.example/2"');
    writeFileSync(join(folder, "registries.conf.d/30.txt"), "not toml");
    const { aliases } = await loadRegistriesConf({ XDG_CONFIG_HOME: dir });
    assert.is(aliases.get("tsbox-a"), "a.example/1");
    assert.is(aliases.get("tsbox-b"), "a.example/3");
  } finally {
    rmSync(dir, { recursive: true });
  }
});

test.run();
