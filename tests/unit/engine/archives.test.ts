/** load, save and import, from and to what other tools write and read. */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { TsboxError } from "../../../runner/base/error.ts";
import { type Engine, openEngine } from "../../../runner/engine/engine.ts";
import { history } from "../../../runner/engine/history.ts";
import { images } from "../../../runner/engine/images.ts";
import { importRoot } from "../../../runner/engine/import.ts";
import { inspectImage } from "../../../runner/engine/inspect-image.ts";
import { load } from "../../../runner/engine/load.ts";
import { removeImage } from "../../../runner/engine/remove-image.ts";
import { removeTrees } from "../../../runner/engine/remove-trees.ts";
import { resolveImage } from "../../../runner/engine/resolve-image.ts";
import { save } from "../../../runner/engine/save.ts";
import { tag } from "../../../runner/engine/tag.ts";
import { tarOf } from "../../support/fake-registry.ts";
import { busyboxArchive } from "../../support/images.ts";
import { need } from "../../support/need.ts";

const able = need(["user-namespace", "not-root"], test);
const withSkopeo = need(["user-namespace", "not-root", "skopeo"], test);
const { path: ARCHIVE, reference: NAME } = busyboxArchive();

interface World extends AsyncDisposable {
  dir: string;
  engine: Engine;
}

function world(): World {
  const dir = mkdtempSync(join(tmpdir(), "tsbox-archives-"));
  const engine = openEngine({ root: join(dir, "store") });
  return {
    dir,
    engine,
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

const hash = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex");
const blobs = ({ engine }: World) => readdirSync(join(engine.root, "oci/blobs/sha256"));

async function lowersOf({ engine }: World, name: string): Promise<string[]> {
  return (await resolveImage(engine, name, { policy: "never", identity: engine.identity() })).lowers;
}

able("load takes an OCI archive, compressed or not, and its folder", async () => {
  await using here = world();
  const [loaded] = await load(here.engine, { path: ARCHIVE });
  assert.equal(loaded?.names, [NAME]);
  assert.ok(existsSync(join((await lowersOf(here, NAME))[0] ?? "", "bin")));

  await using packed = world();
  writeFileSync(join(packed.dir, "a.tar.gz"), gzipSync(readFileSync(ARCHIVE), { level: 1 }));
  assert.equal(await load(packed.engine, { path: join(packed.dir, "a.tar.gz") }), [loaded]);

  await using unpacked = world();
  mkdirSync(join(unpacked.dir, "layout"));
  execFileSync("tar", ["-xf", ARCHIVE, "-C", join(unpacked.dir, "layout")]);
  assert.equal(await load(unpacked.engine, { path: join(unpacked.dir, "layout") }), [loaded]);
});

for (const format of ["docker-archive", "oci-archive", "oci-dir"] as const) {
  able(`save as ${format} gives the same bytes each time, and load the same image`, async () => {
    await using here = world();
    const [loaded] = await load(here.engine, { path: ARCHIVE });
    const [one, two] = [join(here.dir, "one"), join(here.dir, "two")];
    await save(here.engine, [NAME], { format, path: one });
    await save(here.engine, [NAME], { format, path: two });
    if (format === "oci-dir")
      assert.equal(readFileSync(join(one, "index.json")), readFileSync(join(two, "index.json")));
    else assert.is(hash(one), hash(two));
    await using there = world();
    assert.equal(await load(there.engine, { path: one }), [loaded]);
  });

  withSkopeo(`skopeo reads what save writes as ${format}`, async () => {
    await using here = world();
    await load(here.engine, { path: ARCHIVE });
    await tag(here.engine, NAME, "localhost/renamed:2");
    const path = join(here.dir, "saved");
    await save(here.engine, ["localhost/renamed:2"], { format, path });
    const transport = format === "oci-dir" ? "oci" : format;
    const { status, stderr } = spawnSync(
      "skopeo",
      ["copy", "-q", `${transport}:${path}:localhost/renamed:2`, `dir:${here.dir}/copy`],
      {
        encoding: "utf8",
      },
    );
    assert.is(status, 0, stderr);
  });
}

withSkopeo("load takes what skopeo writes as docker-archive", async () => {
  await using here = world();
  const path = join(here.dir, "docker.tar");
  execFileSync("skopeo", ["copy", "-q", `oci-archive:${ARCHIVE}`, `docker-archive:${path}:some/app:7`]);
  const [loaded] = await load(here.engine, { path });
  assert.equal(loaded?.names, ["some/app:7"]);
  assert.ok(existsSync(join((await lowersOf(here, "some/app:7"))[0] ?? "", "bin")));
});

able("load refuses a blob of another digest, naming it, and keeps nothing", async () => {
  await using here = world();
  const layout = join(here.dir, "layout");
  mkdirSync(layout);
  execFileSync("tar", ["-xf", ARCHIVE, "-C", layout]);
  const folder = join(layout, "blobs/sha256");
  const largest = readdirSync(folder).sort(
    (a, b) => statSync(join(folder, b)).size - statSync(join(folder, a)).size,
  )[0];
  const bytes = readFileSync(join(folder, largest ?? ""));
  bytes[1000] = (bytes[1000] as number) ^ 1;
  execFileSync("chmod", ["-R", "u+w", layout]);
  writeFileSync(join(folder, largest ?? ""), bytes);
  const error = await failure(load(here.engine, { path: layout }));
  assert.is(error.code, "DIGEST_MISMATCH");
  assert.match(error.message, largest ?? "");
  assert.equal(await images(here.engine), []);
  assert.equal(readdirSync(join(here.engine.root, "tmp")), []);
});

able("load refuses an archive that was cut off", async () => {
  await using here = world();
  const path = join(here.dir, "cut.tar");
  writeFileSync(path, readFileSync(ARCHIVE));
  truncateSync(path, Math.floor(statSync(path).size / 2));
  assert.match((await failure(load(here.engine, { path }))).message, /^Cannot /);
  assert.equal(await images(here.engine), []);
});

able("load of what is no image says so, and keeps nothing", async () => {
  await using here = world();
  const path = join(here.dir, "root.tar");
  writeFileSync(path, await tarOf({ "etc/hostname": "x", "bin/sh": "y" }));
  const error = await failure(load(here.engine, { path }));
  assert.match(error.hint ?? "", /import/);
  assert.equal(blobs(here), []);
});

for (const pack of ["plain", "gzip", "zstd"] as const) {
  need(["user-namespace", "not-root", ...(pack === "zstd" ? ["zstd"] : [])], test)(
    `import makes an image of a ${pack} tarball`,
    async () => {
      await using here = world();
      const tar = await tarOf({ "etc/hostname": "x", "bin/sh": "y" });
      const bytes =
        pack === "plain" ? tar : pack === "gzip" ? gzipSync(tar) : execFileSync("zstd", ["-qc"], { input: tar });
      const path = join(here.dir, "root.tar");
      writeFileSync(path, bytes);
      const changes = ['CMD ["/bin/sh"]', "ENV A=1 B=2", "WORKDIR /srv", "LABEL x=y", "USER 5:6", "EXPOSE 80"];
      const id = await importRoot(here.engine, { path, reference: "mine:1", changes, message: "hello" });
      const image = (await inspectImage(here.engine, "mine:1")) as Record<string, unknown>;
      assert.is(image.Id, id);
      assert.equal(image.RepoTags, ["mine:1"]);
      assert.equal(image.Config, {
        Cmd: ["/bin/sh"],
        Env: ["A=1", "B=2"],
        WorkingDir: "/srv",
        Labels: { x: "y" },
        User: "5:6",
        ExposedPorts: { "80/tcp": {} },
      });
      assert.is((await history(here.engine, "mine:1"))[0]?.comment, "hello");
      assert.is(readFileSync(join((await lowersOf(here, "mine:1"))[0] ?? "", "etc/hostname"), "utf8"), "x");
    },
  );
}

able("names come and go, and the image with the last of them", async () => {
  await using here = world();
  const [loaded] = await load(here.engine, { path: ARCHIVE });
  const id = loaded?.id ?? "";
  await tag(here.engine, NAME, "two:1");
  await tag(here.engine, id.slice(7, 19), "three:1");
  assert.equal((await images(here.engine))[0]?.names.sort(), [NAME, "three:1", "two:1"].sort());
  assert.equal(await removeImage(here.engine, "two:1", { force: false }), { untagged: ["two:1"], deleted: [] });
  const refused = await failure(removeImage(here.engine, id, { force: false }));
  assert.match(refused.message, /names/);
  const removed = await removeImage(here.engine, id, { force: true });
  assert.is(removed.untagged.length, 2);
  assert.ok(removed.deleted.includes(id));
  assert.equal(await images(here.engine), []);
  assert.equal(blobs(here), []);
});

able("a name that moves to another image leaves the first without", async () => {
  await using here = world();
  const path = join(here.dir, "root.tar");
  writeFileSync(path, await tarOf({ a: "1" }));
  const first = await importRoot(here.engine, { path, reference: "mine:1", changes: [] });
  writeFileSync(path, await tarOf({ a: "2" }));
  const second = await importRoot(here.engine, { path, reference: "mine:1", changes: [] });
  const listed = await images(here.engine);
  assert.equal(listed.find((image) => image.id === second)?.names, ["mine:1"]);
  assert.equal(listed.find((image) => image.id === first)?.names, []);
});

able("the names of built-in images cannot be given away", async () => {
  await using here = world();
  await load(here.engine, { path: ARCHIVE });
  for (const name of ["host", "base"]) assert.is((await failure(tag(here.engine, NAME, name))).code, "BUILTIN_IMAGE");
});

able("with one id only, an image is unpacked and its owners are kept beside it", async () => {
  await using here = world();
  const engine = openEngine({ root: here.engine.root });
  engine.host.subuid = "";
  const single = openEngine({ root: engine.root });
  single.host.subuid = "";
  single.host.subgid = "";
  assert.is(single.identity().kind, "single");
  const [loaded] = await load(single, { path: ARCHIVE });
  const { lowers } = await resolveImage(single, loaded?.id ?? "", { policy: "never", identity: single.identity() });
  assert.ok(existsSync(join(lowers[0] ?? "", "bin")));
});

test.run();
