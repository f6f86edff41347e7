/** Archives made to do harm, and broken ones, through the whole chain: load and import as a user runs them. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { blobPath, folder, hardlink, type OciParts, ociParts, symlink, tarOf } from "../support/oci.ts";
import { leftovers, orphans, storeProblems } from "../support/store.ts";
import { type Result, type Workspace, workspace } from "../support/tsbox.ts";
import { archive, entry } from "../unit/layers/archives.ts";

const able = need(["user-namespace", "not-root"], test);
const good = archive(folder("etc"), entry({ name: "etc/good" }, "good"));

async function load(box: Workspace, parts: OciParts): Promise<Result> {
  return loadBytes(box, tarOf(parts.files));
}

async function loadBytes(box: Workspace, bytes: Buffer): Promise<Result> {
  const path = join(box.dir, "archive.tar");
  writeFileSync(path, bytes);
  return box.tsbox("load", "-i", path);
}

/** Refused in one sentence, and nothing is left of it; a good image goes in afterwards. */
async function refused(box: Workspace, result: Result, ...words: RegExp[]): Promise<void> {
  assert.is.not(result.code, 0, "it was accepted");
  for (const word of words) assert.match(result.stderr, word);
  assert.match(result.stderr, /^tsbox: Cannot /m);
  assert.not.match(result.stderr, /\n\s+at /);
  const store = box.env.TSBOX_ROOT as string;
  assert.equal(storeProblems(store), []);
  assert.equal(orphans(store), []);
  assert.equal(leftovers(store), []);
  assert.is((await box.tsbox("images", "-q")).stdout, "");
  const after = await load(box, ociParts([good], "good:1"));
  assert.is(after.code, 0, after.stderr);
}

function attack(title: string, layers: (box: Workspace) => Buffer[], ...words: RegExp[]): void {
  able(title, async () => {
    await using box = workspace();
    const outside = join(box.dir, "outside");
    mkdirSync(outside);
    writeFileSync(join(outside, "victim"), "untouched");
    const made = layers(box);
    await refused(box, await load(box, ociParts(made, "evil:1")), ...words);
    assert.is(readFileSync(join(outside, "victim"), "utf8"), "untouched");
    assert.not.ok(existsSync(join(outside, "planted")));
    const last = join(box.dir, "layer.tar");
    writeFileSync(last, made.at(-1) as Buffer);
    if (made.length > 1) return;
    const imported = await box.tsbox("import", last, "evil:2");
    assert.is.not(imported.code, 0);
    for (const word of words) assert.match(imported.stderr, word);
    assert.not.ok(existsSync(join(outside, "planted")));
  });
}

attack(
  "a layer cannot write above its root",
  () => [archive(entry({ name: "../../../outside/planted" }, "x"))],
  /entry "\.\.\/\.\.\/\.\.\/outside\/planted" leaves the root/,
);

attack(
  "a layer cannot write through an absolute link of its own",
  ({ dir }) => [archive(symlink("out", join(dir, "outside")), entry({ name: "out/planted" }, "x"))],
  /entry "out\/planted"/,
);

attack(
  "a layer cannot write through a relative link of its own",
  () => [archive(symlink("out", "../../../../../outside"), entry({ name: "out/planted" }, "x"))],
  /entry "out\/planted"/,
);

attack(
  "a layer cannot give a file of the host a second name",
  () => [archive(hardlink("passwd", "/etc/passwd"))],
  /"passwd"/,
  /"\/?etc\/passwd"/,
);

attack(
  "a layer cannot reach the host's files by a climbing hard link",
  () => [archive(hardlink("passwd", "../../../../../../../../etc/passwd"))],
  /"passwd"/,
);

able("a layer cannot write through a link that a layer below made", async () => {
  await using box = workspace();
  const outside = join(box.dir, "outside");
  mkdirSync(outside);
  writeFileSync(join(outside, "victim"), "untouched");
  const layers = [
    archive(symlink("out", outside), entry({ name: "f" }, "1")),
    archive(entry({ name: "out/planted" }, "x"), entry({ name: "out/.wh.victim" })),
  ];
  await load(box, ociParts(layers, "evil:1"));
  assert.not.ok(existsSync(join(outside, "planted")));
  assert.is(readFileSync(join(outside, "victim"), "utf8"), "untouched");
});

able("a name with control characters is shown harmlessly", async () => {
  await using box = workspace();
  const result = await load(box, ociParts([archive(entry({ name: "../\x1b[2Jevil\n" }, "x"))], "evil:1"));
  assert.is.not(result.code, 0);
  assert.not.ok(result.stderr.includes("\x1b[2J"));
  assert.not.match(result.stderr, /evil\n"/);
});

able("an archive that is cut off is refused, wherever it was cut", async () => {
  await using box = workspace();
  const whole = tarOf(ociParts([good], "cut:1").files);
  for (const length of [700, 1500, Math.floor(whole.length / 2), whole.length - 3000]) {
    await using inner = workspace();
    await refused(inner, await loadBytes(inner, whole.subarray(0, length)));
  }
  await refused(box, await loadBytes(box, Buffer.alloc(0)));
});

able("a blob that is not what its name says is refused", async () => {
  await using box = workspace();
  const parts = ociParts([good], "wrong:1");
  parts.files.set(blobPath(parts.layers[0]?.digest as string), Buffer.concat([good, Buffer.alloc(512)]));
  await refused(box, await load(box, parts), /got sha256:/, /want sha256:/);
});

able("an archive that lacks a blob is refused, also when its layer is unpacked already", async () => {
  await using box = workspace();
  for (const missing of ["layers", "config", "manifest"] as const) {
    const parts = ociParts([archive(entry({ name: missing }, "1"))], "lacks:1");
    const { digest } = missing === "layers" ? (parts.layers[0] as { digest: string }) : parts[missing];
    parts.files.delete(blobPath(digest));
    const result = await load(box, parts);
    assert.is(result.code, 1);
    assert.match(result.stderr, new RegExp(`blob ${digest} is not in it`));
    assert.match(result.stderr, /hint: /);
  }
});

able("a descriptor that lies about a size is refused", async () => {
  await using box = workspace();
  const parts = ociParts([good], "size:1");
  const index = JSON.parse((parts.files.get("index.json") as Buffer).toString());
  index.manifests[0].size++;
  parts.files.set("index.json", Buffer.from(JSON.stringify(index)));
  await refused(box, await load(box, parts), /has \d+ bytes, its descriptor says \d+/);
});

able("a layer that its config knows by another diffID is refused", async () => {
  await using box = workspace();
  const parts = ociParts([good], "diff:1");
  const other = ociParts([archive(entry({ name: "other" }, "1"))], "other:1");
  const manifest = JSON.parse((parts.files.get(blobPath(parts.manifest.digest)) as Buffer).toString());
  manifest.config = other.config;
  const forged = ociParts([], "diff:1");
  forged.files.clear();
  for (const from of [other, parts]) for (const [path, bytes] of from.files) forged.files.set(path, bytes);
  const bytes = Buffer.from(JSON.stringify(manifest));
  const { sha256 } = await import("../support/oci.ts");
  forged.files.set(blobPath(sha256(bytes)), bytes);
  const descriptor = { mediaType: parts.manifest.mediaType, digest: sha256(bytes), size: bytes.length };
  forged.files.set("index.json", Buffer.from(JSON.stringify({ schemaVersion: 2, manifests: [descriptor] })));
  await refused(box, await load(box, forged), /diffID is sha256:/);
});

able("paths of an archive that climb are refused by their name", async () => {
  await using box = workspace();
  const parts = ociParts([good], "paths:1");
  await refused(
    box,
    await loadBytes(box, tarOf([...parts.files, ["../../planted", Buffer.from("x")]])),
    /entry "\.\.\/\.\.\/planted" leaves the root/,
  );
});

able("a manifest.json that names what is not in the archive is refused", async () => {
  await using box = workspace();
  const manifest = [{ Config: "config.json", RepoTags: ["a:1"], Layers: ["../../../etc/passwd"] }];
  const config = { os: "linux", architecture: "amd64", rootfs: { type: "layers", diff_ids: [] } };
  const files: [string, Buffer][] = [
    ["config.json", Buffer.from(JSON.stringify(config))],
    ["manifest.json", Buffer.from(JSON.stringify(manifest))],
  ];
  await refused(box, await loadBytes(box, tarOf(files)), /"\.\.\/\.\.\/\.\.\/etc\/passwd" is named in manifest\.json/);
});

able("what is no image is refused with a hint", async () => {
  await using box = workspace();
  const result = await loadBytes(box, good);
  assert.match(result.stderr, /neither index\.json nor manifest\.json/);
  assert.match(result.stderr, /hint: .*tsbox import/);
  const html = await loadBytes(box, Buffer.from("<html>".repeat(500)));
  await refused(box, html);
});

test.run();
