/** Images as people handle them, between tsbox and the tools they have: skopeo, podman, tar, gzip, zstd. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { busyboxArchive, rootTarball } from "../support/images.ts";
import { has, need } from "../support/need.ts";
import { folder, ociParts, sha256, tarOf } from "../support/oci.ts";
import { leftovers, orphans, storeProblems } from "../support/store.ts";
import { type Result, TSBOX, type Workspace, workspace } from "../support/tsbox.ts";
import { archive, entry } from "../unit/layers/archives.ts";

const USABLE = ["user-namespace", "not-root"];
const able = need(USABLE, test);
const withSkopeo = need([...USABLE, "skopeo"], test);
const busybox = busyboxArchive();

/** The image in a fresh store, and the store looked over at the end. */
async function loaded(use: (box: Workspace, name: string) => Promise<void>): Promise<void> {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", busybox.path));
  await use(box, busybox.reference);
  sound(box);
}

function sound(box: Workspace): void {
  const store = box.env.TSBOX_ROOT as string;
  assert.equal(storeProblems(store), []);
  assert.equal(orphans(store), []);
  assert.equal(leftovers(store), []);
}

function ok(result: Result): string {
  assert.is(result.code, 0, result.stderr);
  return result.stdout.trimEnd();
}

async function idOf(box: Workspace, name: string): Promise<string> {
  return ok(await box.tsbox("inspect", "--format", "{{.Id}}", name));
}

async function echoes(box: Workspace, name: string): Promise<void> {
  assert.is(ok(await box.tsbox("run", "--rm", name, "echo", "works")), "works");
}

async function skopeo(box: Workspace, ...args: string[]): Promise<string> {
  const result = await box.program("skopeo", ["--tmpdir", join(box.dir, "tmp"), ...args]);
  return ok(result);
}

able("what was loaded is listed, has a history, and runs", () =>
  loaded(async (box, name) => {
    const id = await idOf(box, name);
    const [repository, tag] = name.split(":");
    assert.is(ok(await box.tsbox("images", "--format", "{{.Repository}} {{.Tag}}")), `${repository} ${tag}`);
    assert.is(ok(await box.tsbox("images", "-q", "--no-trunc")), id);
    assert.ok(ok(await box.tsbox("history", "-q", name)).split("\n").length >= 1);
    assert.is(ok(await box.tsbox("inspect", "--format", "{{.Os}}", id.slice(7, 19))), "linux");
    await echoes(box, name);
  }),
);

able("an image saved in any format loads as the same image, and saving twice gives the same bytes", () =>
  loaded(async (box, name) => {
    const id = await idOf(box, name);
    for (const format of ["docker-archive", "oci-archive", "oci-dir", "docker-dir"]) {
      const [one, two] = ["one", "two"].map((part) => join(box.dir, `${part}-${format}`)) as [string, string];
      for (const path of [one, two]) ok(await box.tsbox("save", "--format", format, "-o", path, name));
      if (!format.endsWith("-dir")) assert.ok(readFileSync(one).equals(readFileSync(two)), `${format} differs`);
      await using other = workspace();
      // a docker-dir knows no names
      const named = format === "docker-dir" ? id : name;
      const told = format === "docker-dir" ? `Loaded image ID: ${id}` : `Loaded image: ${name}`;
      assert.is(ok(await other.tsbox("load", "-q", "-i", one)), told);
      assert.is(await idOf(other, named), id);
      await echoes(other, named);
      sound(other);
    }
    assert.equal(
      readdirSync(box.dir).filter((file) => file.endsWith(".part")),
      [],
    );
  }),
);

withSkopeo("skopeo reads what was saved, and tsbox reads what skopeo makes of it", () =>
  loaded(async (box, name) => {
    // skopeo writes the config anew where it turns one form into the other; the layers stay what they are
    const layersOf = async (where: Workspace, image: string) =>
      ok(await where.tsbox("inspect", "--format", "{{json .RootFS.Layers}}", image));
    const original = await layersOf(box, name);
    for (const format of ["docker-archive", "oci-archive", "oci-dir"]) {
      const saved = join(box.dir, format);
      ok(await box.tsbox("save", "--format", format, "-o", saved, name));
      const source = `${format === "oci-dir" ? "oci" : format}:${saved}`;
      const layers = JSON.parse(await skopeo(box, "inspect", source)).Layers;
      assert.ok(layers.length > 0);
      for (const target of ["docker-archive", "oci-archive", "oci"]) {
        const copy = join(box.dir, `${format}-${target}`);
        await skopeo(box, "copy", "-q", source, `${target}:${copy}:example.org/copy:1`);
        await using other = workspace();
        assert.is(ok(await other.tsbox("load", "-q", "-i", copy)), "Loaded image: example.org/copy:1");
        assert.is(await layersOf(other, "example.org/copy:1"), original);
        await echoes(other, "example.org/copy:1");
        sound(other);
      }
    }
  }),
);

withSkopeo("skopeo reads the store itself", () =>
  loaded(async (box, name) => {
    const store = join(box.env.TSBOX_ROOT as string, "oci");
    const seen = JSON.parse(await skopeo(box, "inspect", `oci:${store}:docker.io/library/${name}`));
    assert.is(seen.Os, "linux");
  }),
);

need([...USABLE, "podman", "skopeo"], test)("podman loads what was saved, and tsbox what podman saves", () =>
  loaded(async (box, name) => {
    const store = ["--root", join(box.dir, "podman"), "--storage-driver", "vfs"];
    const podman = (...args: string[]) => box.program("podman", [...store, ...args]);
    const works = await podman("info");
    if (works.code !== 0) return console.log(`skip: podman loads what was saved: ${works.stderr.split("\n")[0]}`);
    try {
      for (const format of ["docker-archive", "oci-archive", "oci-dir", "docker-dir"]) {
        const path = join(box.dir, format);
        ok(await box.tsbox("save", "--format", format, "-o", path, name));
        // podman 4 reads a folder's path as a name, too, in which no capital letter may be
        ok(await box.program("podman", [...store, "load", "-q", "-i", format], { cwd: box.dir }));
        const listed = ok(await podman("images", "-q", "--no-trunc"));
        assert.is(listed.split("\n")[0], await idOf(box, name));
        const back = join(box.dir, `podman-${format}`);
        ok(await podman("save", "-q", "--format", format, "-o", back, listed.split("\n")[0] as string));
        await using other = workspace();
        const told = ok(await other.tsbox("load", "-q", "-i", back));
        assert.match(told, /^Loaded image/);
        assert.is(ok(await other.tsbox("images", "-q", "--no-trunc")), listed.split("\n")[0]);
        ok(await podman("rmi", "-f", listed.split("\n")[0] as string));
      }
    } finally {
      await box.program("podman", ["unshare", "rm", "-rf", join(box.dir, "podman")]);
    }
  }),
);

able("an archive may be compressed, and may come through a pipe", async () => {
  const plain = readFileSync(busybox.path);
  const packed: [string, Buffer][] = [
    ["plain", plain],
    ["gzip", gzipSync(plain, { level: 1 })],
  ];
  if (has("zstd")) {
    await using box = workspace();
    ok(await box.program("zstd", ["-q", "-1", busybox.path, "-o", join(box.dir, "packed.zst")]));
    packed.push(["zstd", readFileSync(join(box.dir, "packed.zst"))]);
  }
  for (const [how, bytes] of packed) {
    await using box = workspace();
    const path = join(box.dir, "archive");
    writeFileSync(path, bytes);
    assert.is(ok(await box.tsbox("load", "-q", "-i", path)), `Loaded image: ${busybox.reference}`, how);
    await using piped = workspace();
    assert.is(ok(await piped.run(["load", "-q"], { input: bytes })), `Loaded image: ${busybox.reference}`, how);
    sound(piped);
  }
});

able("several images travel in one archive, a layer they share once", () =>
  loaded(async (box, name) => {
    ok(await box.tsbox("tag", name, "example.org/second:2"));
    const small = archive(folder("etc"), entry({ name: "etc/small" }, "small"));
    ok(await box.run(["load", "-q"], { input: tarOf(ociParts([small], "small:1").files) }));
    for (const format of ["docker-archive", "oci-archive"]) {
      const path = join(box.dir, format);
      ok(await box.tsbox("save", "--format", format, "-o", path, name, "example.org/second:2", "small:1"));
      await using other = workspace();
      const told = ok(await other.tsbox("load", "-q", "-i", path))
        .split("\n")
        .sort();
      assert.equal(told, [name, "example.org/second:2", "small:1"].map((n) => `Loaded image: ${n}`).sort());
      assert.is(await idOf(other, name), await idOf(other, "example.org/second:2"));
      sound(other);
    }
  }),
);

able("a root's tarball becomes an image, with what --change says of it", async () => {
  const root = await rootTarball();
  if (!root) return console.log("skip: a root's tarball becomes an image: needs mmdebstrap");
  await using box = workspace();
  const changes = ['CMD ["cat","/etc/hostname"]', "ENV A=1 B=two", "WORKDIR /tmp", "LABEL who=me", "EXPOSE 80"];
  const flags = changes.flatMap((change) => ["--change", change]);
  const id = ok(await box.tsbox("import", ...flags, "-m", "from the test", root.path, "mine:1"));
  assert.is(await idOf(box, "mine:1"), id);
  assert.match(ok(await box.tsbox("run", "--rm", "mine:1", "cat", root.releaseFile)), root.release);
  assert.is(ok(await box.tsbox("run", "--rm", "mine:1", "sh", "-c", "echo $A $B; pwd")), "1 two\n/tmp");
  assert.is(ok(await box.tsbox("inspect", "--format", "{{index .Config.Labels `who`}}", "mine:1")), "me");
  assert.match(ok(await box.tsbox("history", "mine:1")), /from the test/);
  sound(box);
});

able("import takes plain, gzip and zstd, from a file and from a pipe", async () => {
  const tar = archive(folder("etc"), entry({ name: "etc/file" }, "text"));
  await using box = workspace();
  const plain = join(box.dir, "root.tar");
  writeFileSync(plain, tar);
  const files = [plain, join(box.dir, "root.tar.gz")];
  writeFileSync(files[1] as string, gzipSync(tar));
  if (has("zstd")) {
    files.push(join(box.dir, "root.tar.zst"));
    ok(await box.program("zstd", ["-q", plain]));
  }
  for (const [number, file] of files.entries()) {
    ok(await box.tsbox("import", file, `file:${number}`));
    ok(await box.run(["import", "-", `pipe:${number}`], { input: readFileSync(file) }));
    for (const name of [`file:${number}`, `pipe:${number}`]) {
      const layers = ok(await box.tsbox("inspect", "--format", "{{json .RootFS.Layers}}", name));
      assert.is(layers, ok(await box.tsbox("inspect", "--format", "{{json .RootFS.Layers}}", "file:0")));
    }
  }
  sound(box);
  const refused = await box.tsbox("import", "--change", "RUN true", plain, "bad:1");
  assert.is.not(refused.code, 0);
  assert.match(refused.stderr, /unknown instruction "RUN"\nhint: /);
});

able("a name is taken away by rmi, and the image with its last name", () =>
  loaded(async (box, name) => {
    ok(await box.tsbox("tag", name, "other:1"));
    const id = await idOf(box, name);
    const byID = await box.tsbox("rmi", id.slice(7, 19));
    assert.is(byID.code, 1);
    assert.match(byID.stderr, /it has 2 names: .*other:1/);
    assert.is(ok(await box.tsbox("rmi", name)), `Untagged: ${name}`);
    await echoes(box, "other:1");
    const last = ok(await box.tsbox("rmi", "other:1"));
    assert.match(last, new RegExp(`^Untagged: other:1\nDeleted: ${id}`));
    const store = box.env.TSBOX_ROOT as string;
    assert.equal(readdirSync(join(store, "oci/blobs/sha256")), []);
    const gone = await box.tsbox("rmi", name);
    assert.is(gone.code, 1);
    assert.match(gone.stderr, /Cannot find image/);
  }),
);

able("an image in use stays, until it is forced or its container is gone", () =>
  loaded(async (box, name) => {
    ok(await box.tsbox("run", "--name", "done", name, "true"));
    const refused = await box.tsbox("rmi", name);
    assert.is(refused.code, 1);
    assert.match(refused.stderr, /container [0-9a-f]{12} \(done\) was made from it\nhint: /);
    ok(await box.tsbox("run", "-d", "--name", "runs", name, "sleep", "100"));
    const running = await box.tsbox("rmi", "-f", name);
    assert.is(running.code, 1);
    assert.match(running.stderr, /\(runs\) runs on it/);
    ok(await box.tsbox("rm", "-f", "runs", "done"));
    ok(await box.tsbox("rmi", name));
    assert.is(ok(await box.tsbox("images", "-q")), "");
  }),
);

able("a tag that moves leaves the image it had without a name, and filters find it", () =>
  loaded(async (box, name) => {
    const old = await idOf(box, name);
    ok(await box.tsbox("tag", name, "moving:1"));
    const tar = archive(entry({ name: "f" }, "1"));
    ok(await box.run(["import", "-c", "LABEL stage=test", "-", name], { input: tar }));
    assert.is(await idOf(box, "moving:1"), old);
    ok(await box.run(["import", "-c", "LABEL stage=test", "-", "moving:1"], { input: tar }));
    assert.is(ok(await box.tsbox("images", "-q", "--no-trunc", "-f", "dangling=true")), old);
    const labelled = ok(await box.tsbox("images", "-f", "label=stage=test", "--format", "{{.Repository}}"));
    assert.equal(labelled.split("\n").sort(), [name.split(":")[0], "moving"].sort());
    assert.is(ok(await box.tsbox("images", "-f", "reference=mov*", "--format", "{{.Tag}}")), "1");
    ok(await box.tsbox("rmi", ...ok(await box.tsbox("images", "-q", "-f", "dangling=true")).split("\n")));
    assert.is(ok(await box.tsbox("images", "-q", "-f", "dangling=true")), "");
  }),
);

able("saving refuses what it cannot do, and leaves nothing half-written", () =>
  loaded(async (box, name) => {
    const missing = await box.tsbox("save", "-o", join(box.dir, "x.tar"), "nosuch:1");
    assert.is(missing.code, 1);
    assert.match(missing.stderr, /Cannot find image "nosuch:1"/);
    assert.not.ok(existsSync(join(box.dir, "x.tar")));
    const full = join(box.dir, "full");
    mkdirSync(full);
    writeFileSync(join(full, "mine"), "");
    const result = await box.tsbox("save", "--format", "oci-dir", "-o", full, name);
    assert.match(result.stderr, /the folder is not empty\nhint: /);
    assert.equal(readdirSync(full), ["mine"]);
    const nowhere = await box.tsbox("save", "-o", join(box.dir, "no/such/folder.tar"), name);
    assert.is.not(nowhere.code, 0);
    assert.match(nowhere.stderr, /^tsbox: Cannot save/);
  }),
);

able("an archive's layers may be saved plain, and a docker-dir's compressed", () =>
  loaded(async (box, name) => {
    const id = await idOf(box, name);
    for (const [flag, format] of [
      ["--uncompressed", "docker-archive"],
      ["--uncompressed", "oci-archive"],
      ["--compress", "docker-dir"],
    ] as const) {
      const path = join(box.dir, `${flag}-${format}`);
      ok(await box.tsbox("save", flag, "--format", format, "-o", path, name));
      await using other = workspace();
      ok(await other.tsbox("load", "-q", "-i", path));
      assert.is(await idOf(other, id), id);
      await echoes(other, id);
      sound(other);
    }
    assert.match(
      (await box.tsbox("save", "--compress", "-o", "x", name)).stderr,
      /--compress is for --format docker-dir/,
    );
  }),
);

withSkopeo("every form is read by skopeo, and every form of skopeo's by load", () =>
  loaded(async (box, name) => {
    const id = await idOf(box, name);
    const transports = {
      "docker-archive": "docker-archive",
      "oci-archive": "oci-archive",
      "oci-dir": "oci",
      "docker-dir": "dir",
    };
    for (const [format, transport] of Object.entries(transports)) {
      const path = join(box.dir, `saved-${format}`);
      ok(await box.tsbox("save", "--format", format, "-o", path, name));
      const back = join(box.dir, `back-${format}`);
      await skopeo(
        box,
        "copy",
        "-q",
        `${transport}:${path}`,
        `${transport}:${back}${transport === "docker-archive" ? ":a/b:1" : ""}`,
      );
      await using other = workspace();
      ok(await other.tsbox("load", "-q", "-i", back));
      assert.is(await idOf(other, id), id, format);
      await echoes(other, id);
      sound(other);
    }
  }),
);

able("the parts of an archive may come in any order, and what is not an image's is no matter", async () => {
  const parts = ociParts([archive(folder("etc"), entry({ name: "etc/a" }, "a"))], "any:1");
  const files = [...parts.files].reverse();
  files.splice(1, 0, ["notes.xz", Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 1, 2])]);
  await using box = workspace();
  assert.is(ok(await box.run(["load", "-q"], { input: tarOf(files) })), "Loaded image: any:1");
  sound(box);
});

for (const [program, suffix] of [
  ["xz", "xz"],
  ["bzip2", "bz2"],
] as const) {
  need([...USABLE, program], test)(`an archive that ${program} has compressed`, async () => {
    await using box = workspace();
    const path = join(box.dir, "image.tar");
    writeFileSync(path, tarOf(ociParts([archive(folder("etc"), entry({ name: "etc/a" }, "a"))], "small:1").files));
    assert.is((await box.program(program, [path])).code, 0);
    assert.is(ok(await box.tsbox("load", "-q", "-i", `${path}.${suffix}`)), "Loaded image: small:1");
    const root = join(box.dir, "root.tar");
    writeFileSync(root, archive(folder("etc"), entry({ name: "etc/b" }, "b")));
    assert.is((await box.program(program, [root])).code, 0);
    ok(await box.tsbox("import", `${root}.${suffix}`, "root:1"));
    assert.is(ok(await box.tsbox("diff", "root:1", "small:1")), "C /etc\nD /etc/a\nA /etc/b");
    assert.is(ok(await box.tsbox("image", "inspect", "--format", "{{len .RootFS.Layers}}", "root:1")), "1");
    ok(await box.tsbox("system", "check"));
    sound(box);
  });
}

able("a name that images cannot have is told of, and the image is kept without", async () => {
  await using box = workspace();
  const parts = ociParts([archive(folder("etc"))], "Not A Name");
  const result = await box.run(["load", "-q"], { input: tarOf(parts.files) });
  assert.match(ok(result), /^Loaded image ID: sha256:/);
  assert.match(result.stderr, /warning: the archive's name "Not A Name"/);
});

able(
  "large layers of a docker-archive are right whether plain or compressed, and refused when they are not",
  async () => {
    const large = (text: string) => archive(folder("etc"), entry({ name: `etc/${text}` }, text.repeat(1_500_000)));
    const [plain, packed] = [large("plain"), large("other")];
    // no compression: what counts is the size of the file
    const zipped = gzipSync(packed, { level: 0 });
    const config = Buffer.from(
      JSON.stringify({
        architecture: process.arch === "arm64" ? "arm64" : "amd64",
        os: "linux",
        rootfs: { type: "layers", diff_ids: [sha256(plain), sha256(packed)] },
      }),
    );
    const manifest = [{ Config: "config.json", RepoTags: ["large:1"], Layers: ["one/layer.tar", "two/layer.tar"] }];
    const tar = (first: Buffer) =>
      tarOf([
        ["one/layer.tar", first],
        ["two/layer.tar", zipped],
        ["config.json", config],
        ["manifest.json", Buffer.from(JSON.stringify(manifest))],
      ]);
    await using box = workspace();
    const path = join(box.dir, "large.tar");
    const damaged = Buffer.from(plain);
    damaged[plain.length / 2] = (damaged[plain.length / 2] as number) ^ 1;
    writeFileSync(path, tar(damaged));
    const refused = await box.tsbox("load", "-q", "-i", path);
    assert.is(refused.code, 1);
    assert.match(refused.stderr, /got sha256:\w+, want sha256:|diffID is/);
    assert.is(ok(await box.tsbox("images", "-q")), "");
    sound(box);
    writeFileSync(path, tar(plain));
    assert.is(ok(await box.tsbox("load", "-q", "-i", path)), "Loaded image: large:1");
    ok(await box.tsbox("system", "check"));
    sound(box);
  },
);

able("errors of load and import name the file, and say what to do", async () => {
  await using box = workspace();
  const xz = join(box.dir, "image.tar.xz");
  writeFileSync(xz, Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0, 0, 0, 0, 0, 0]));
  const imported = await box.tsbox("import", xz);
  assert.is(imported.code, 1);
  assert.ok(imported.stderr.startsWith(`tsbox: Cannot import "${xz}": its xz data is damaged`), imported.stderr);
  const loaded = await box.tsbox("load", "-i", xz);
  assert.is(loaded.code, 1);
  assert.ok(loaded.stderr.startsWith(`tsbox: Cannot load "${xz}": its xz data is damaged`), loaded.stderr);
  const cut = join(box.dir, "cut.tar");
  writeFileSync(cut, readFileSync(busybox.path).subarray(0, 100_000));
  assert.ok((await box.tsbox("load", "-i", cut)).stderr.startsWith(`tsbox: Cannot load "${cut}": `));
  sound(box);
});

able("import takes an address", async () => {
  const tar = archive(folder("etc"), entry({ name: "etc/a" }, "from the web"));
  const server = createServer((request, response) => {
    if (request.url === "/root.tar" && request.headers.authorization === undefined) response.end(tar);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await using box = workspace();
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    ok(await box.tsbox("import", `${base}/root.tar`, "web:1"));
    assert.match(ok(await box.tsbox("history", "web:1")), /Imported from http/);
    const missing = await box.tsbox("import", `${base}/other.tar`);
    assert.is(missing.code, 1);
    assert.match(missing.stderr, /other.tar": 127.0.0.1:\d+ answered 404/);
    sound(box);
  } finally {
    server.close();
  }
});

able("an image that is loaded again with its layers compressed in another way is one image", () =>
  loaded(async (box, name) => {
    const path = join(box.dir, "plain.tar");
    ok(await box.tsbox("save", "--uncompressed", "-o", path, name));
    ok(await box.tsbox("load", "-q", "-i", path));
    assert.is(ok(await box.tsbox("images", "--format", "{{.Repository}}:{{.Tag}}")), name);
    assert.is(ok(await box.tsbox("images", "-q", "--filter", "dangling=true")), "");
    await echoes(box, name);
    ok(await box.tsbox("system", "prune", "-f"));
  }),
);

able("an image for another machine is run with a warning; what is removed under all its names is told once", () =>
  loaded(async (box, name) => {
    const root = join(box.dir, "root.tar");
    ok(await box.tsbox("create", "--name", "source", name));
    ok(await box.tsbox("export", "-o", root, "source"));
    ok(await box.tsbox("rm", "source"));
    ok(await box.tsbox("import", "--platform", "linux/s390x", root, "far"));
    ok(await box.tsbox("tag", "far", "further"));
    const { stderr } = await box.tsbox("run", "--rm", "far", "true");
    assert.match(stderr, /^warning: image "far" is for linux\/s390x, this machine is linux\//m);
    assert.not.match((await box.tsbox("run", "--rm", "--platform", "linux/s390x", "far", "true")).stderr, /warning/);
    const removed = ok(await box.tsbox("rmi", "-f", await idOf(box, "far"))).split("\n");
    assert.is(new Set(removed).size, removed.length, removed.join("\n"));
    assert.match((await box.tsbox("pull", "localhost:99999/x")).stderr, /^tsbox: Cannot use image reference .*port/);
  }),
);

able("several images of one archive, with layers in common, from a file and from a pipe", () =>
  loaded(async (box, name) => {
    ok(await box.tsbox("create", "--name", "source", name));
    ok(await box.tsbox("commit", "-m", "one", "source", "one:1"));
    ok(await box.tsbox("commit", "-m", "two", "source", "two:1"));
    const path = join(box.dir, "both.tar");
    for (const flags of [[], ["--uncompressed"], ["--format", "oci-archive"]]) {
      ok(await box.tsbox("save", ...flags, "-o", path, "one:1", "two:1", name));
      for (const [i, read] of ['-i "$1"', '< "$1"'].entries()) {
        const root = join(box.dir, `store${i}${flags.join("")}`);
        ok(await box.program("sh", ["-c", `"$0" --root "$2" load -q ${read}`, TSBOX, path, root]));
        assert.is(ok(await box.tsbox("--root", root, "images", "-q")).split("\n").length, 3);
        assert.equal(storeProblems(root), []);
      }
    }
    ok(await box.tsbox("rm", "source"));
  }),
);

able("nobody gives a new image its digest", () =>
  loaded(async (box, name) => {
    const digest = `x@sha256:${"0".repeat(64)}`;
    ok(await box.tsbox("create", "--name", "source", name));
    for (const words of [
      ["commit", "source", digest],
      ["tag", name, digest],
      ["import", join(box.dir, "none"), digest],
    ])
      assert.match((await box.tsbox(...words)).stderr, /a digest is not given but computed/);
    ok(await box.tsbox("rm", "source"));
  }),
);

test.run();
