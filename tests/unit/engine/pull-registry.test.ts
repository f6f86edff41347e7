/** Pulls from a real registry, compared file by file with what umoci makes of the same image. */
import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Engine, openEngine } from "../../../runner/engine/engine.ts";
import { pull } from "../../../runner/engine/pull.ts";
import { removeTrees } from "../../../runner/engine/remove-trees.ts";
import { resolveImage } from "../../../runner/engine/resolve-image.ts";
import { type LayerRecord, layerRecord, RecordKind } from "../../../runner/layers/abi.ts";
import { type OutgoingEntry, writeArchive } from "../../../runner/layers/writer.ts";
import { sha256 } from "../../support/fake-registry.ts";
import { busyboxArchive } from "../../support/images.ts";
import { need } from "../../support/need.ts";
import { startRegistry } from "../../support/registry.ts";
import { ROOT } from "../../support/tsbox.ts";

const TOOLS = ["docker-registry", "skopeo", "umoci", "user-namespace", "overlay-userxattr", "subids", "not-root"];
const able = need(TOOLS, test);

interface World extends AsyncDisposable {
  dir: string;
  engine: Engine;
}

function world(): World {
  const dir = mkdtempSync(join(tmpdir(), "tsbox-pull-registry-"));
  const engine = openEngine({ root: join(dir, "store") });
  return {
    dir,
    engine,
    async [Symbol.asyncDispose]() {
      await removeTrees(engine, [dir], engine.identity());
    },
  };
}

/** Runs a shell line as root of a namespace with the caller's range of ids. */
function inside(line: string): string {
  const { status, stdout, stderr } = spawnSync("unshare", ["-Urm", "--map-auto", "sh", "-ec", line], {
    encoding: "utf8",
    maxBuffer: 1 << 28,
  });
  assert.is(status, 0, stderr);
  return stdout;
}

const LIST = `${process.execPath} --import ${join(ROOT, "node_modules/tsx/dist/esm/index.mjs")} ${join(ROOT, "tests/support/list-tree.ts")}`;

async function compare({ dir, engine }: World, source: string, name: string): Promise<number> {
  const { lowers } = await resolveImage(engine, name, { policy: "never", identity: engine.identity() });
  mkdirSync(join(dir, "merged"));
  mkdirSync(join(dir, "empty"));
  const mine = inside(
    `mount -t overlay -o userxattr,lowerdir=${[...lowers, join(dir, "empty")].join(":")} overlay ${dir}/merged; ${LIST} ${dir}/merged`,
  );
  const theirs = inside(`umoci unpack --image ${source} ${dir}/bundle >&2; ${LIST} ${dir}/bundle/rootfs`);
  const [a, b] = [mine.split("\n"), theirs.split("\n")];
  assert.equal(a, b);
  return a.length;
}

able("busybox is unpacked as umoci does it", async () => {
  await using registry = await startRegistry();
  await using here = world();
  const { path } = busyboxArchive();
  const layout = `oci:${join(here.dir, "layout")}:it`;
  assert.is(spawnSync("skopeo", ["copy", "-q", `oci-archive:${path}`, layout]).status, 0);
  await registry.push(layout, "busybox:1");
  await pull(here.engine, `${registry.host}/busybox:1`);
  const entries = await compare(here, `${here.dir}/layout:it`, `${registry.host}/busybox:1`);
  assert.ok(entries > 10);
});

const FILE = { mtimeSeconds: 1_500_000_000 };

function entry(kind: RecordKind, path: string, fields: Partial<LayerRecord> = {}, content = ""): OutgoingEntry {
  const bytes = Buffer.from(content);
  const size = { size: bytes.length, data: bytes.length };
  return {
    record: layerRecord(kind, { path: Buffer.from(path), mode: 0o644, ...FILE, ...size, ...fields }),
    content: [bytes],
  };
}

const { DIRECTORY, FILE: REGULAR, SYMLINK, HARDLINK, FIFO } = RecordKind;

/** One of everything that can be made without privilege, changed by a second and a third layer. */
const LAYERS: OutgoingEntry[][] = [
  [
    entry(DIRECTORY, "etc", { mode: 0o755 }),
    entry(REGULAR, "etc/shadow", { mode: 0o640, gid: 42 }, "root:*"),
    // every folder is told: the time of one that is not is up to the unpacker
    entry(DIRECTORY, "bin", { mode: 0o751, gid: 3 }),
    ...["home", "run", "opaque", "opaque/sub", "gone-folder", "names", "long"].map((path) =>
      entry(DIRECTORY, path, { mode: 0o755 }),
    ),
    entry(DIRECTORY, `long/${"n".repeat(120)}`, { mode: 0o755 }),
    entry(DIRECTORY, "home/user", { mode: 0o700, uid: 1000, gid: 1000 }),
    entry(REGULAR, "home/user/file", { uid: 1000, gid: 1000 }, "mine"),
    entry(REGULAR, "bin/su", { mode: 0o4755 }, "setuid"),
    entry(REGULAR, "bin/lower", { mode: 0o755 }, "linked to by the next layer"),
    entry(HARDLINK, "bin/su2", { link: Buffer.from("bin/su") }),
    entry(SYMLINK, "bin/sh", { mode: 0o777, link: Buffer.from("/bin/su"), uid: 5, gid: 6 }),
    entry(SYMLINK, "bin/away", { mode: 0o777, link: Buffer.from("../../../outside") }),
    entry(DIRECTORY, "tmp", { mode: 0o1777 }),
    entry(FIFO, "run/pipe", { mode: 0o600 }),
    entry(REGULAR, "gone", {}, "gone"),
    entry(REGULAR, "opaque/old", {}, "old"),
    entry(REGULAR, "opaque/sub/old", {}, "old"),
    entry(REGULAR, "gone-folder/file", {}, "gone"),
    entry(
      REGULAR,
      "attributes",
      { xattrs: [{ name: Buffer.from("user.note"), value: Buffer.from([0, 1, 255]) }] },
      "x",
    ),
    entry(REGULAR, "names/ä ö\u0001\n", {}, "odd"),
    entry(REGULAR, `long/${"n".repeat(120)}/${"m".repeat(200)}`, {}, "long"),
    entry(REGULAR, "becomes-folder", {}, "file"),
    entry(DIRECTORY, "becomes-file", { mode: 0o755 }),
  ],
  [
    entry(REGULAR, ".wh.gone"),
    entry(REGULAR, ".wh.gone-folder"),
    entry(DIRECTORY, "opaque", { mode: 0o750, uid: 7 }),
    entry(REGULAR, "opaque/.wh..wh..opq"),
    entry(REGULAR, "opaque/new", {}, "new"),
    entry(HARDLINK, "bin/upper", { link: Buffer.from("bin/lower") }),
    entry(REGULAR, "home/user/file", { uid: 1000, gid: 1000, mode: 0o600 }, "changed"),
    entry(DIRECTORY, "becomes-folder", { mode: 0o755 }),
    entry(REGULAR, "becomes-folder/file", {}, "in it"),
    entry(REGULAR, "becomes-file", {}, "file"),
  ],
  [entry(REGULAR, "gone", {}, "here again"), entry(REGULAR, "opaque/.wh.new"), entry(REGULAR, "opaque/newer", {}, "1")],
];

async function writeLayout(dir: string): Promise<void> {
  mkdirSync(join(dir, "blobs/sha256"), { recursive: true });
  const put = (bytes: Buffer) => {
    const digest = sha256(bytes);
    writeFileSync(join(dir, "blobs/sha256", digest.slice(7)), bytes);
    return { digest, size: bytes.length };
  };
  const layers = [];
  for (const entries of LAYERS) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of writeArchive(entries)) chunks.push(chunk);
    layers.push({ mediaType: "application/vnd.oci.image.layer.v1.tar", ...put(Buffer.concat(chunks)) });
  }
  const rootfs = { type: "layers", diff_ids: layers.map((layer) => layer.digest) };
  const architecture = process.arch === "x64" ? "amd64" : process.arch;
  const config = put(Buffer.from(JSON.stringify({ os: "linux", architecture, config: {}, rootfs })));
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const configType = "application/vnd.oci.image.config.v1+json";
  const manifest = put(
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config: { mediaType: configType, ...config }, layers })),
  );
  const annotations = { "org.opencontainers.image.ref.name": "it" };
  const index = { schemaVersion: 2, manifests: [{ mediaType, ...manifest, annotations }] };
  writeFileSync(join(dir, "index.json"), JSON.stringify(index));
  writeFileSync(join(dir, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
}

able("layers that change each other give the tree that umoci makes of them", async () => {
  await using registry = await startRegistry();
  await using here = world();
  await writeLayout(join(here.dir, "layout"));
  await registry.push(`oci:${here.dir}/layout:it`, "many:1");
  await pull(here.engine, `${registry.host}/many:1`);
  await compare(here, `${here.dir}/layout:it`, `${registry.host}/many:1`);
});

able("skopeo reads the store in place", async () => {
  await using registry = await startRegistry();
  await using here = world();
  await writeLayout(join(here.dir, "layout"));
  await registry.push(`oci:${here.dir}/layout:it`, "many:1");
  const { reference } = await pull(here.engine, `${registry.host}/many:1`);
  const { status, stderr } = spawnSync("skopeo", ["inspect", `oci:${here.engine.root}/oci:${reference}`], {
    encoding: "utf8",
  });
  assert.is(status, 0, stderr);
});

able("a pull that is killed at any moment leaves no image, and the next one succeeds", async () => {
  await using registry = await startRegistry();
  await using here = world();
  await writeLayout(join(here.dir, "layout"));
  await registry.push(`oci:${here.dir}/layout:it`, "many:1");
  const name = `${registry.host}/many:1`;
  const line = `import { openEngine } from "${ROOT}runner/engine/engine.ts"; import { pull } from "${ROOT}runner/engine/pull.ts";
    process.stdout.write("ready"); await pull(openEngine({ root: process.argv[1] }), "${name}"); process.stdout.write("done");`;
  const tsx = join(ROOT, "node_modules/tsx/dist/esm/index.mjs");
  for (let delay = 0; ; delay += 40) {
    const root = join(here.dir, `store-${delay}`);
    const child = spawn(process.execPath, ["--import", tsx, "--input-type=module", "-e", line, root], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let told = "";
    child.stdout.on("data", (chunk) => {
      told += chunk;
      if (told === "ready") setTimeout(() => child.kill("SIGKILL"), delay);
    });
    await new Promise((resolve) => child.on("close", resolve));
    const engine = openEngine({ root });
    if (!told.includes("done")) {
      const { images } = await import("../../../runner/engine/images.ts");
      const listed = await images(engine);
      assert.ok(listed.every((image) => image.names.length === 1));
    }
    await pull(engine, name);
    // the helper of the killed one may take a moment to see that nobody writes to it any more
    for (let wait = 0; wait < 100 && readdirSync(join(root, "tmp")).length > 0; wait++) {
      await sleep(50);
      await pull(engine, name);
    }
    await resolveImage(engine, name, { policy: "never", identity: engine.identity() });
    assert.equal(readdirSync(join(root, "tmp")), [], `after a kill at ${delay} ms`);
    if (told.includes("done")) break;
  }
});

test.run();
