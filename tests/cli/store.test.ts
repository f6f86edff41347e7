/** The store as people keep it: what takes room, what is cleaned up, what is damaged, and what happens to it at the same time. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fakeRegistry, noise } from "../support/fake-registry.ts";
import { busyboxArchive } from "../support/images.ts";
import { need } from "../support/need.ts";
import { folder, ociParts, tarOf } from "../support/oci.ts";
import { leftovers, orphans, storeProblems } from "../support/store.ts";
import { type Result, TSBOX, type Workspace, workspace } from "../support/tsbox.ts";
import { archive, entry } from "../unit/layers/archives.ts";

const USABLE = ["user-namespace", "not-root"];
const able = need(USABLE, test);
const busybox = busyboxArchive();

function ok(result: Result): string {
  assert.is(result.code, 0, result.stderr);
  return result.stdout.trimEnd();
}

const rootOf = (box: Workspace) => box.env.TSBOX_ROOT as string;
const blobFile = (box: Workspace, digest: string) =>
  join(rootOf(box), "oci/blobs/sha256", digest.replace("sha256:", ""));
const blobs = (box: Workspace) => readdirSync(join(rootOf(box), "oci/blobs/sha256"));
const layers = (box: Workspace) => {
  const keys = join(rootOf(box), "layers");
  return readdirSync(keys).flatMap((key) => readdirSync(join(keys, key)).filter((name) => name.length === 64));
};

/** An image of layers with one file each, under a name. */
async function small(
  box: Workspace,
  name: string,
  files: string[],
  labels: Record<string, string> = {},
): Promise<void> {
  const tars = files.map((file) => archive(folder("etc"), entry({ name: `etc/${file}` }, file)));
  ok(await box.run(["load", "-q"], { input: tarOf(ociParts(tars, name, { Labels: labels }).files) }));
}

able(
  "system df tells what images, containers and volumes take, also of folders that are closed to the caller",
  async () => {
    await using box = workspace();
    ok(await box.tsbox("load", "-q", "-i", busybox.path));
    await small(box, "unused:1", ["a"]);
    const script = "mkdir -m 700 /closed; head -c 100000 /dev/zero > /closed/file; chown -R 5:5 /closed";
    ok(await box.tsbox("run", "--name", "writer", busybox.reference, "sh", "-c", script));
    ok(await box.tsbox("volume", "create", "vol"));
    const rows = ok(await box.tsbox("system", "df", "--format", "json"))
      .split("\n")
      .map((line) => JSON.parse(line));
    assert.equal(
      rows.map(({ Type, TotalCount, Active }) => [Type, TotalCount, Active]),
      [
        ["Images", "2", "1"],
        ["Containers", "1", "0"],
        ["Local Volumes", "1", "0"],
        ["Build Cache", "0", "0"],
      ],
    );
    assert.ok(rows[1].RawSize >= 100_000, "the closed folder is counted");
    assert.is(rows[1].RawReclaimable, rows[1].RawSize);
    assert.ok(rows[0].RawReclaimable > 0 && rows[0].RawReclaimable < rows[0].RawSize);
    const verbose = ok(await box.tsbox("system", "df", "-v"));
    for (const heading of ["SHARED SIZE", "LOCAL VOLUMES", "VOLUME NAME"]) assert.match(verbose, heading);
    assert.match(verbose, /unused\s+1\s.*\s0\n/);
  },
);

able("a prune asks, and removes what is not in use only", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", busybox.path));
  await small(box, "unused:1", ["a"], { keep: "no" });
  await small(box, "moved:1", ["b"]);
  await small(box, "moved:1", ["c"]); // the first has no name now
  ok(await box.tsbox("run", "--name", "ended", busybox.reference, "true"));
  ok(await box.tsbox("run", "-d", "--name", "running", busybox.reference, "sleep", "100"));

  const refused = await box.run(["system", "prune"], { input: "n\n" });
  assert.is(refused.code, 1);
  assert.match(refused.stdout, /all stopped containers\n\s+- all dangling images/);
  assert.match(ok(await box.tsbox("ps", "-aq")), /\n/);

  assert.match(
    ok(await box.run(["system", "prune"], { input: "y\n" })),
    /Deleted Containers:\n[0-9a-f]{64}\n[\s\S]*deleted: sha256/,
  );
  assert.is(ok(await box.tsbox("ps", "-a", "--format", "{{.Names}}")), "running");
  assert.is(ok(await box.tsbox("images", "-f", "dangling=true", "-q")), "");
  assert.match(ok(await box.tsbox("images")), "unused");

  assert.match(ok(await box.tsbox("image", "prune", "-af", "--filter", "label=other")), /^Total reclaimed space: 0B/);
  assert.match(ok(await box.tsbox("image", "prune", "-af", "--filter", "label=keep")), "untagged: unused:1");
  ok(await box.tsbox("image", "prune", "-af"));
  assert.is(ok(await box.tsbox("images", "--format", "{{.Repository}}:{{.Tag}}")), busybox.reference);
  assert.is(ok(await box.tsbox("exec", "running", "echo", "still here")), "still here");
  assert.equal(orphans(rootOf(box)), []);
});

able("the build cache is counted, and goes by a prune of its own", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", busybox.path));
  const context = join(box.dir, "context");
  mkdirSync(context);
  writeFileSync(join(context, "Dockerfile"), `FROM ${busybox.reference}\nRUN echo made > /made\n`);
  ok(await box.tsbox("build", "-q", "-t", "built:1", context));
  ok(await box.tsbox("rmi", "built:1"));
  const row = async () => {
    const text = ok(await box.tsbox("system", "df", "--format", "{{.Type}} {{.TotalCount}} {{.Size}}"));
    return text.split("\n").find((line) => line.startsWith("Build Cache"));
  };
  assert.match((await row()) ?? "", /^Build Cache 1 [^0]/);
  ok(await box.tsbox("image", "prune", "-f"));
  assert.match((await row()) ?? "", /^Build Cache 1 [^0]/, "a prune of images leaves it");
  assert.match(ok(await box.tsbox("builder", "prune", "-f", "--filter", "until=1h")), /^Total reclaimed space: 0B/);
  assert.match(ok(await box.tsbox("builder", "prune", "-f")), /^Deleted build cache objects:\n[0-9a-f]{64}\n/);
  assert.is(await row(), "Build Cache 0 0B");
  assert.equal(orphans(rootOf(box)), []);
});

able("rmi knows ids, digests, --ignore and --all, and what containers need", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", busybox.path));
  ok(await box.tsbox("tag", busybox.reference, "second:1"));
  const id = ok(await box.tsbox("inspect", "--format", "{{.Id}}", "second:1"));
  const several = await box.tsbox("rmi", id.slice(7, 19));
  assert.is(several.code, 1);
  assert.match(several.stderr, /it has 2 names/);
  assert.is((await box.tsbox("rmi", "nosuch")).code, 1);
  ok(await box.tsbox("rmi", "--ignore", "nosuch"));
  ok(await box.tsbox("run", "--name", "user", busybox.reference, "true"));
  ok(await box.tsbox("rmi", "second:1"));
  const used = await box.tsbox("rmi", busybox.reference);
  assert.match(used.stderr, /was made from it/);
  ok(await box.tsbox("rmi", "-f", id));
  assert.is(layers(box).length, 1, "the container keeps its layers");
  assert.equal(blobs(box), []);
  ok(await box.tsbox("rm", "user"));
  ok(await box.tsbox("system", "prune", "-f"));
  assert.equal(layers(box), []);

  await small(box, "one:1", ["a"]);
  await small(box, "two:1", ["b"]);
  const { digest } = JSON.parse(readFileSync(join(rootOf(box), "oci/index.json"), "utf8")).manifests[0];
  ok(await box.tsbox("rmi", `one@${digest}`));
  assert.is((await box.tsbox("image", "exists", "one:1")).code, 1);
  assert.is((await box.tsbox("image", "exists", "two:1")).code, 0);
  ok(await box.tsbox("rmi", "-a"));
  assert.equal(blobs(box), []);
});

able("untag takes names away and leaves the image", async () => {
  await using box = workspace();
  await small(box, "one:1", ["a"]);
  ok(await box.tsbox("tag", "one:1", "two:1"));
  ok(await box.tsbox("untag", "one:1", "one:1"));
  assert.is(ok(await box.tsbox("images", "--format", "{{.Repository}}")), "two");
  assert.match((await box.tsbox("untag", "two:1", "other:1")).stderr, /it is no name of image/);
  ok(await box.tsbox("untag", "two:1"));
  assert.is(ok(await box.tsbox("images", "--format", "{{.Repository}}")), "<none>");
  assert.equal(storeProblems(rootOf(box)), []);
});

able("image tree shows layers, and what stands on them", async () => {
  await using box = workspace();
  await small(box, "base-image:1", ["a"]);
  await small(box, "child:1", ["a", "b"]);
  await small(box, "other:1", ["a", "c"]);
  const tree = ok(await box.tsbox("image", "tree", "child:1"));
  assert.match(
    tree,
    /Tags: {5}\[child:1\]\nSize: [\s\S]*\n├── ID: \w{12} Size: \S+ Top Layer of: \[base-image:1\]\n└── ID: /,
  );
  const above = ok(await box.tsbox("image", "tree", "--whatrequires", "base-image:1"));
  assert.match(above, /\n└── .*\[base-image:1\]\n {4}├── .*\[child:1\]\n {4}└── .*\[other:1\]$/);
  assert.is(
    ok(await box.tsbox("images", "-n", "--sort", "repository", "--format", "table {{.Repository}}")),
    "base-image\nchild\nother",
  );
  assert.is(
    ok(await box.tsbox("images", "-f", "containers=false", "-f", "reference=ch*", "--format", "{{.Repository}}")),
    "child",
  );
});

able("rmi while a pull finds shared layers there takes none of them away", async () => {
  await using box = workspace();
  await using registry = await fakeRegistry();
  const shared = { large: noise(1 << 20) };
  await registry.add("first", "1", [shared]);
  const second = await registry.add("second", "1", [shared, { own: "x" }]);
  const [first, other] = ["first", "second"].map((name) => `${registry.host}/${name}:1`) as [string, string];
  ok(await box.tsbox("pull", "-q", first));
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  let reached = false;
  registry.on(second.layers[1]?.digest as string, (_request, _response, ordinary) => {
    reached = true;
    gate.then(ordinary);
  });
  const pulling = box.tsbox("pull", "-q", other);
  while (!reached) await sleep(10);
  assert.match(ok(await box.tsbox("rmi", first)), /Deleted: /);
  ok(await box.tsbox("system", "prune", "-af"));
  go();
  ok(await pulling);
  assert.equal(storeProblems(rootOf(box)), []);
  ok(await box.tsbox("system", "check"));
  ok(await box.tsbox("rmi", other));
  assert.equal([blobs(box), layers(box), leftovers(rootOf(box))], [[], [], []]);
});

able("two pulls of the same image at the same time fetch every blob once", async () => {
  await using box = workspace();
  await using registry = await fakeRegistry();
  await registry.add("app", "1", [{ a: noise(2 << 20) }, { b: noise(1 << 20) }]);
  const name = `${registry.host}/app:1`;
  const results = await Promise.all([1, 2, 3].map(() => box.tsbox("pull", "-q", name)));
  for (const result of results) ok(result);
  const fetched = registry.requests.filter((request) => request.includes("/blobs/"));
  assert.is(new Set(fetched).size, 3);
  assert.is(fetched.length, 3, fetched.join("\n"));
  assert.equal(orphans(rootOf(box)), []);
});

able("what a failed pull left goes with a prune, or after a day", async () => {
  await using box = workspace();
  await using registry = await fakeRegistry();
  const image = await registry.add("app", "1", [{ a: "1" }, { b: "2" }]);
  registry.on(image.layers[1]?.digest as string, (_request, response) => response.writeHead(404).end());
  assert.is((await box.tsbox("pull", "-q", `${registry.host}/app:1`)).code, 1);
  const left = blobs(box);
  assert.ok(left.length > 0);
  await small(box, "other:1", ["x"]);
  assert.ok(
    left.every((blob) => blobs(box).includes(blob)),
    "the next pull may take them up",
  );
  assert.match(ok(await box.tsbox("system", "check")), /belong to nothing/);
  // as if the last sweep, and the pull, were of the day before yesterday
  const past = Date.now() / 1000 - 2 * 86_400;
  for (const path of [join(rootOf(box), "locks/swept"), ...left.map((blob) => blobFile(box, blob))])
    utimesSync(path, past, past);
  await small(box, "third:1", ["y"]);
  assert.equal(orphans(rootOf(box)), []);
  assert.ok(layers(box).length > 2, "the unpacked layer of the failed pull is young");
  ok(await box.tsbox("system", "prune", "-f"));
  assert.is(layers(box).length, 2);
});

able("system check finds every kind of damage, and --repair sets it right", async () => {
  await using box = workspace();
  await using registry = await fakeRegistry();
  const image = await registry.add("app", "1", [{ a: "1" }, { b: noise(1 << 20) }]);
  ok(await box.tsbox("pull", "-q", `${registry.host}/app:1`));
  ok(await box.tsbox("tag", `${registry.host}/app:1`, "mine:1"));
  ok(await box.tsbox("rmi", `${registry.host}/app:1`)); // where it came from is known all the same
  assert.match(ok(await box.tsbox("system", "check")), /all is well$/);

  for (const digest of [image.digest, image.config, image.layers[0]?.digest as string]) {
    const path = blobFile(box, digest);
    const bytes = readFileSync(path);
    bytes[30] = (bytes[30] as number) ^ 1;
    writeFileSync(path, bytes);
  }
  truncateSync(blobFile(box, image.layers[1]?.digest as string), 1000);
  const key = readdirSync(join(rootOf(box), "layers"))[0] as string;
  writeFileSync(join(rootOf(box), "layers", key, layers(box)[0] as string, "meta.json"), "{}");
  mkdirSync(join(rootOf(box), "names"), { recursive: true });
  symlinkSync("0".repeat(64), join(rootOf(box), "names/lost"));

  const found = await box.tsbox("system", "check");
  assert.is(found.code, 1);
  assert.match(
    found.stdout,
    /manifest of "mine:1"\): its content is another[\s\S]*unpacked layer[\s\S]*leads to no container/,
  );
  // one damaged image stands in nobody's way
  assert.match((await box.tsbox("images")).stderr, /mine:1" is left out/);

  assert.match(ok(await box.tsbox("system", "check", "--repair")), /fetched again from 127[\s\S]*all is well again$/);
  assert.match(ok(await box.tsbox("system", "check")), /all is well$/);
  assert.equal(storeProblems(rootOf(box)), []);
  ok(
    await box
      .tsbox("run", "--name", "made", "--pull", "never", "mine:1", "/none")
      .then((r) => ({ ...r, code: r.code === 127 ? 0 : r.code })),
  );

  truncateSync(blobFile(box, image.layers[1]?.digest as string), 1000);
  const quick = await box.tsbox("system", "check", "--quick");
  assert.match(quick.stdout, /has 1000 bytes, expected/);
  registry.on(image.layers[1]?.digest as string, (_request, response) => response.writeHead(404).end());
  const failed = await box.tsbox("system", "check", "--repair");
  assert.is(failed.code, 1);
  assert.match(failed.stdout, /could not be repaired: /);
  assert.is(statSync(blobFile(box, image.layers[1]?.digest as string)).size, 1000, "the damaged one stays");
});

able(
  "one byte of an unpacked file that is another is found and repaired, from the blob or from the registry",
  async () => {
    await using box = workspace();
    await using registry = await fakeRegistry();
    const image = await registry.add("app", "1", [
      { a: "1", "usr/file": noise(200_000) },
      { b: "2", "usr/c": "3" },
    ]);
    const name = `${registry.host}/app:1`;
    ok(await box.tsbox("pull", "-q", name));
    ok(await box.tsbox("create", "--name", "made", name, "/none"));
    const key = join(rootOf(box), "layers", readdirSync(join(rootOf(box), "layers"))[0] as string);
    const file = (path: string) => {
      const found = layers(box)
        .map((layer) => join(key, layer, "root", path))
        .find((one) => existsSync(one));
      return found as string;
    };
    const damage = () => {
      const path = file("usr/file");
      const { atime, mtime } = statSync(path);
      const bytes = readFileSync(path);
      bytes[150_000] = (bytes[150_000] as number) ^ 1;
      writeFileSync(path, bytes);
      utimesSync(path, atime, mtime);
    };
    const right = createHash("sha256")
      .update(readFileSync(file("usr/file")))
      .digest("hex");
    const repaired = async () => {
      assert.match(ok(await box.tsbox("system", "check", "--repair")), /unpacked again[\s\S]*all is well again$/);
      assert.is(
        createHash("sha256")
          .update(readFileSync(file("usr/file")))
          .digest("hex"),
        right,
      );
      assert.match(ok(await box.tsbox("system", "check")), /all is well$/);
      assert.equal(leftovers(rootOf(box)), []);
    };

    damage();
    const found = await box.tsbox("system", "check");
    assert.is(found.code, 1);
    assert.match(found.stdout, /unpacked layer sha256:\w+ \(\w+\): "\/usr\/file" has another content\n/);
    assert.match(ok(await box.tsbox("system", "check", "--quick")), /all is well$/);
    await repaired();

    // of the other layer: one too many, one missing, one of another mode; the blob is damaged as well
    writeFileSync(file("usr/c").replace(/c$/, "d"), "");
    rmSync(file("usr/c"));
    chmodSync(file("b"), 0o777);
    damage();
    const blob = blobFile(box, image.layers[0]?.digest as string);
    truncateSync(blob, 100);
    const both = await box.tsbox("system", "check");
    assert.match(both.stdout, /"\/b" has another mode, "\/usr\/c" is missing, "\/usr\/d" is not of the layer\n/);
    assert.not.match(both.stdout, "/usr/file", "what its blob should be is not known");
    assert.match(both.stdout, "has 100 bytes, expected");
    await repaired();

    // a container that was there before finds all it needs
    assert.match((await box.tsbox("start", "made")).stderr, /none/);
  },
);

able("trees of all kinds are what their blobs say", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", busybox.path));
  const script =
    "rm -r /etc; mkdir /etc; echo x >/etc/new; truncate -s 5000000 /sparse; echo end >>/sparse; ln /sparse /again; mkdir /a; touch /a/b /a.b; mkfifo /pipe";
  ok(await box.tsbox("run", "--name", "made", busybox.reference, "sh", "-c", script));
  ok(await box.tsbox("commit", "-q", "made", "mine:1"));
  ok(await box.tsbox("rm", "made"));
  ok(await box.tsbox("run", "--rm", "--userns", "keep-id", "mine:1", "true"));
  // links in the way, a file told twice, hard links to layers below, marks with nothing to hide
  const below = archive(
    folder("lib64"),
    entry({ name: "lib", type: "2", link: "lib64" }),
    entry({ name: "lib64/one" }, "1"),
  );
  const above = archive(
    entry({ name: "lib/two" }, "first"),
    entry({ name: "lib/two" }, "second"),
    entry({ name: "linked", type: "1", link: "lib64/one" }),
    entry({ name: "gone/.wh.nothing" }, ""),
    entry({ name: "deep/er/file" }, "x"),
  );
  ok(await box.run(["load", "-q"], { input: tarOf(ociParts([below, above], "odd:1").files) }));
  ok(await box.tsbox("run", "--rm", "base", "true"));
  assert.match(ok(await box.tsbox("system", "check")), /all is well$/);
  assert.equal(leftovers(rootOf(box)), []);
});

able("what was loaded from a file cannot be fetched again, and loading it again repairs it", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", busybox.path));
  const largest = blobs(box).sort(
    (a, b) => statSync(blobFile(box, b)).size - statSync(blobFile(box, a)).size,
  )[0] as string;
  const bytes = readFileSync(blobFile(box, largest));
  bytes.fill(0, 100, 200);
  writeFileSync(blobFile(box, largest), bytes);
  assert.match((await box.tsbox("system", "check", "--repair")).stdout, /came from no registry: load or import/);
  assert.match(
    (await box.tsbox("save", "-o", join(box.dir, "x.tar"), busybox.reference)).stderr,
    /the store's copy has/,
  );
  ok(await box.tsbox("load", "-q", "-i", busybox.path));
  ok(await box.tsbox("system", "check"));
});

able("a store that was copied works at its new place, whoever owns the copy's files", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", busybox.path));
  ok(await box.tsbox("tag", busybox.reference, "busybox:here"));
  // what another user's id owns and nobody else may read
  const secret = archive(folder("srv"), entry({ name: "srv/own", uid: 33, gid: 33, mode: 0o600 }, "secret"));
  ok(await box.run(["load", "-q"], { input: tarOf(ociParts([secret], "layered:1").files) }));
  const owner = (store: string) => box.run(["unshare", "sh", "-c", `stat -c %u ${store}/layers/*/*/root/srv/own`]);
  assert.is(ok(await owner(rootOf(box))), "33");
  const copy = join(box.dir, "copy");
  mkdirSync(copy);
  // as a CI system does it: an ordinary user's tar loses owners, and what it may not read
  await box.program("sh", ["-c", `tar -C ${rootOf(box)} -c . 2>/dev/null | tar -C ${copy} -x`]);
  const there = { env: { TSBOX_ROOT: copy } };
  assert.is(ok(await box.run(["run", "--rm", "--pull", "never", "busybox:here", "echo", "works"], there)), "works");
  assert.is((await box.run(["run", "--rm", "--pull", "never", "layered:1", "/none"], there)).code, 127);
  assert.is(ok(await owner(copy)), "33", "it was unpacked anew");
  ok(await box.run(["system", "check"], there));
  // blobs alone are enough
  const bare = join(box.dir, "bare");
  mkdirSync(bare);
  ok(await box.program("cp", ["-a", join(rootOf(box), "oci"), bare]));
  assert.is(
    ok(
      await box.run(["run", "--rm", "--pull", "never", "busybox:here", "echo", "works"], { env: { TSBOX_ROOT: bare } }),
    ),
    "works",
  );
});

able("system reset removes the store, and nothing that is none", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", busybox.path));
  ok(await box.tsbox("run", "-d", busybox.reference, "sleep", "100"));
  assert.is((await box.run(["system", "reset"], { input: "" })).code, 1);
  assert.ok(existsSync(rootOf(box)));
  ok(await box.tsbox("system", "reset", "-f"));
  assert.not.ok(existsSync(rootOf(box)));
  const mine = join(box.dir, "mine");
  mkdirSync(mine);
  writeFileSync(join(mine, "precious"), "1");
  assert.match((await box.tsbox("--root", mine, "system", "reset", "-f")).stderr, /it is no store of tsbox/);
  assert.ok(existsSync(join(mine, "precious")));
  // a mount point, or a folder in one that is somebody else's, stays
  const held = join(box.dir, "held");
  mkdirSync(join(held, "store"), { recursive: true });
  ok(await box.tsbox("--root", join(held, "store"), "run", "--rm", "base", "true"));
  chmodSync(held, 0o555);
  ok(await box.tsbox("--root", join(held, "store"), "system", "reset", "-f"));
  assert.equal(readdirSync(join(held, "store")), []);
  chmodSync(held, 0o755);
});

need([...USABLE, "skopeo"], test)("skopeo reads the store in place", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", busybox.path));
  const [{ annotations, digest }] = JSON.parse(readFileSync(join(rootOf(box), "oci/index.json"), "utf8")).manifests;
  const name = annotations["org.opencontainers.image.ref.name"];
  const told = await box.program("skopeo", ["inspect", "--raw", `oci:${rootOf(box)}/oci:${name}`]);
  ok(told);
  assert.is(`sha256:${createHash("sha256").update(told.stdout).digest("hex")}`, digest);
});

able("a store that may not be read is told as such", async () => {
  await using box = workspace();
  const closed = join(box.dir, "closed");
  mkdirSync(closed, { mode: 0 });
  for (const words of [["images"], ["run", "base", "true"]]) {
    const { code, stderr } = await box.tsbox("--root", join(closed, "store"), ...words);
    assert.ok(code > 0);
    assert.match(stderr, /^tsbox: Cannot read the store's index ".*": EACCES\n.*\nhint: .*--root/);
  }
});

able("an index that is damaged is made anew of the images that are whole", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", busybox.path));
  const id = ok(await box.tsbox("images", "-q", "--no-trunc"));
  const index = join(rootOf(box), "oci/index.json");
  for (const text of ["", "{", '{"schemaVersion":2}']) {
    writeFileSync(index, text);
    const refused = await box.tsbox("images");
    assert.is(refused.code, 1);
    assert.match(refused.stderr, /index.json": it is damaged\nhint: "tsbox system check --repair" makes it anew/);
    assert.match(
      ok(await box.tsbox("system", "check", "--repair")),
      /the 1 image found, without names[\s\S]*well again$/,
    );
    assert.is(ok(await box.tsbox("images", "-q", "--no-trunc")), id);
  }
  ok(await box.tsbox("tag", id, "again"));
  ok(await box.tsbox("run", "--rm", "again", "true"));
});

able("a full disk is no fault of the registry, which is not asked again", async () => {
  await using box = workspace();
  await using registry = await fakeRegistry();
  const image = await registry.add("app", "1", [{ a: noise(1 << 20) }]);
  const digest = image.layers[0]?.digest as string;
  mkdirSync(join(rootOf(box), "tmp"), { recursive: true });
  symlinkSync("/dev/full", join(rootOf(box), `tmp/blob-${digest.slice(7)}.partial`));
  const { code, stderr } = await box.tsbox("pull", "-q", `${registry.host}/app:1`);
  assert.is(code, 1);
  assert.match(stderr, /^tsbox: Cannot keep blob sha256:\w+: the disk is full$/m);
  assert.match(stderr, /^hint: .*tsbox system prune/m);
  assert.is(registry.requests.filter((request) => request.includes(digest)).length, 1);
});

able("what could not be written to standard output is told, and the exit status says so", async () => {
  await using box = workspace();
  ok(await box.tsbox("load", "-q", "-i", busybox.path));
  for (const verb of ["images", `history ${busybox.reference}`, `save ${busybox.reference}`]) {
    const { code, stderr } = await box.program("sh", ["-c", `exec "$0" ${verb} >/dev/full`, TSBOX]);
    assert.is(code, 125, verb);
    assert.match(stderr, /^tsbox: Cannot write to the disk: the disk is full$/m, verb);
  }
});

able("an archive or a folder that is none is told of by its name", async () => {
  await using box = workspace();
  const path = join(box.dir, "text");
  writeFileSync(path, "no archive");
  assert.match((await box.tsbox("import", path)).stderr, /^tsbox: Cannot import ".*text": /);
  assert.match((await box.tsbox("load", "-i", box.dir)).stderr, /": it has neither index.json nor manifest.json$/m);
});

test.run();
