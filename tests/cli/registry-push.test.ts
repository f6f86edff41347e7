/** `push`, between tsbox and Debian's docker-registry, looked over by skopeo; and to a registry that breaks connections. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { busyboxArchive } from "../support/images.ts";
import { need } from "../support/need.ts";
import { startCutter } from "../support/proxy.ts";
import { startRegistry } from "../support/registry.ts";
import { leftovers } from "../support/store.ts";
import { type Result, type Workspace, workspace } from "../support/tsbox.ts";
import { archive, entry } from "../unit/layers/archives.ts";

const able = need(["user-namespace", "not-root", "docker-registry", "skopeo"], test);
const withZstd = need(["user-namespace", "not-root", "docker-registry", "zstd"], test);
const image = busyboxArchive();

function ok(result: Result): string {
  assert.is(result.code, 0, result.stderr);
  return result.stdout.trimEnd();
}

async function digestOf(box: Workspace, name: string): Promise<string> {
  return ok(await box.tsbox("images", "--no-trunc", "--format", "{{.Digest}}", name));
}

async function served(box: Workspace, name: string): Promise<string> {
  const found = await box.program("skopeo", [
    "inspect",
    "--no-tags",
    "--tls-verify=false",
    "--format",
    "{{.Digest}}",
    `docker://${name}`,
  ]);
  return ok(found);
}

able("what is pushed by tag has the digest that it has here, and comes back the same", async () => {
  await using box = workspace();
  await using registry = await startRegistry();
  ok(await box.tsbox("load", "-q", "-i", image.path));
  const name = `${registry.host}/team/app:1`;
  const file = join(box.dir, "digest");
  const pushed = await box.tsbox("push", "--digestfile", file, image.reference, name);
  const digest = await digestOf(box, image.reference);
  assert.match(ok(pushed), new RegExp(`^1: digest: ${digest} size: \\d+$`));
  assert.is(readFileSync(file, "utf8"), digest);
  assert.is(await served(box, name), digest);
  ok(await box.tsbox("rmi", image.reference));
  assert.is(ok(await box.tsbox("run", "--rm", name, "echo", "works")), "works");
  assert.is(await digestOf(box, name), digest);
});

able("a push by digest, and one of a name that says where to", async () => {
  await using box = workspace();
  await using registry = await startRegistry();
  ok(await box.tsbox("load", "-q", "-i", image.path));
  const digest = await digestOf(box, image.reference);
  const name = `${registry.host}/app`;
  assert.is(ok(await box.tsbox("push", "-q", image.reference, `${name}@${digest}`)), `${name}@${digest}`);
  assert.is(await served(box, `${name}@${digest}`), digest);
  ok(await box.tsbox("tag", image.reference, `${name}:2`));
  ok(await box.tsbox("tag", image.reference, `${name}:3`));
  assert.is(ok(await box.tsbox("push", "--all-tags", "-q", name)), `${name}:2\n${name}:3`);
  assert.is(await served(box, `${name}:3`), digest);
  const wrong = await box.tsbox("push", image.reference, `${name}@sha256:${"0".repeat(64)}`);
  assert.is(wrong.code, 1);
  assert.match(wrong.stderr, /its digest is sha256:/);
});

able("what the registry has is not sent: not to the same repository, and another one takes it over", async () => {
  await using box = workspace();
  await using registry = await startRegistry();
  ok(await box.tsbox("load", "-q", "-i", image.path));
  const push = async (name: string) => (await box.tsbox("push", image.reference, `${registry.host}/${name}`)).stderr;
  assert.match(await push("one:1"), /: pushed\n/);
  assert.match(await push("one:2"), /already here|exists/);
  assert.match(await push("two:1"), /mounted from another repository/);
  assert.is(await served(box, `${registry.host}/two:1`), await digestOf(box, image.reference));
});

able("connections that break on the way to a real registry", async () => {
  await using box = workspace();
  await using registry = await startRegistry();
  await using cutter = await startCutter(registry.host, 3, 400_000);
  ok(await box.tsbox("load", "-q", "-i", image.path));
  ok(await box.tsbox("push", "-q", "--retry-delay", "100ms", image.reference, `${cutter.host}/app:1`));
  assert.is(await served(box, `${registry.host}/app:1`), await digestOf(box, image.reference));
});

able("another form on the way: Docker's manifest, OCI's, layers compressed; the image's id stays", async () => {
  await using box = workspace();
  await using registry = await startRegistry();
  const tar = join(box.dir, "root.tar");
  writeFileSync(tar, archive(entry({ name: "large" }, Buffer.alloc(1 << 20, "x"))));
  const id = ok(await box.tsbox("import", tar, "plain:1"));
  const push = async (tag: string, ...flags: string[]) => {
    const name = `${registry.host}/app:${tag}`;
    const line = ok(await box.tsbox("push", ...flags, "plain:1", name));
    const raw = await box.program("skopeo", ["inspect", "--raw", "--tls-verify=false", `docker://${name}`]);
    const manifest = JSON.parse(ok(raw));
    assert.match(line, await served(box, name));
    assert.is(manifest.config.digest, id);
    return { type: manifest.mediaType, layer: manifest.layers[0] };
  };
  const own = await push("own");
  assert.is(own.type, "application/vnd.oci.image.manifest.v1+json");
  assert.is(own.layer.mediaType, "application/vnd.oci.image.layer.v1.tar");
  const docker = await push("docker", "--format", "v2s2", "--compression-format", "gzip");
  assert.is(docker.type, "application/vnd.docker.distribution.manifest.v2+json");
  assert.is(docker.layer.mediaType, "application/vnd.docker.image.rootfs.diff.tar.gzip");
  assert.ok(docker.layer.size < own.layer.size / 10);
  assert.equal(await push("oci", "--format", "oci"), own);
  assert.equal(leftovers(box.env.TSBOX_ROOT as string), []);
  ok(await box.tsbox("rmi", "plain:1"));
  assert.equal(
    ok(await box.tsbox("pull", "-q", "--all-tags", `${registry.host}/app`))
      .split("\n")
      .sort(),
    [`${registry.host}/app:docker`, `${registry.host}/app:oci`, `${registry.host}/app:own`],
  );
  assert.is(ok(await box.tsbox("inspect", "--format", "{{.Id}}", `${registry.host}/app:docker`)), id);
});

able("a name without a registry of its own, an id, and what is no registry are told apart", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", image.path));
  const id = ok(await box.tsbox("images", "-q"));
  for (const [args, words] of [
    [[id], /an id does not say where to/],
    [[image.reference, "oci-archive:/tmp/x.tar"], /"oci-archive" is no registry/],
    [["nothing:1"], /it is not in the store/],
    [[image.reference, "127.0.0.1:1/app"], /nothing listens at 127.0.0.1:1/],
  ] as const) {
    const result = await box.tsbox("push", ...args);
    assert.is(result.code, 1, result.stderr);
    assert.match(result.stderr, words);
  }
});

withZstd("layers by zstd become such that every registry and client knows", async () => {
  await using box = workspace();
  await using registry = await startRegistry();
  const tar = join(box.dir, "root.tar");
  writeFileSync(tar, archive(entry({ name: "large" }, Buffer.alloc(3 << 20, "x"))));
  ok(await box.program("zstd", ["-q", tar]));
  const id = ok(await box.tsbox("import", `${tar}.zst`, "small:1"));
  const name = `${registry.host}/app:1`;
  const refused = await box.tsbox("push", "--format", "v2s2", "small:1", name);
  assert.match(refused.stderr, /^hint: .*--compression-format gzip$/m);
  ok(await box.tsbox("push", "-q", "--format", "v2s2", "--compression-format", "gzip", "small:1", name));
  ok(await box.tsbox("rmi", "small:1"));
  ok(await box.tsbox("pull", "-q", name));
  assert.is(ok(await box.tsbox("images", "-q", "--no-trunc")), id);
});

test.run();
