/** image explore: what it says of layers, in the terminal, as JSON and as a gate. */
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { CompareReport, DiffReport, ImageReport, ReportChange } from "../../runner/cli/explore/shape.ts";
import { busyboxArchive } from "../support/images.ts";
import { need } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";
import { archive, entry, gnuTar, withDirectory } from "../unit/layers/archives.ts";
import { HISTORY, HOSTILE, LAYERS, loadLayers } from "./support/layered-image.ts";

const able = need(["user-namespace", "not-root"], test);

const box = workspace();
test.before(async () => {
  await loadLayers(box, LAYERS, "docker.io/library/app:1", HISTORY);
});
test.after(() => box[Symbol.asyncDispose]());

async function report(...args: string[]): Promise<ImageReport> {
  const { code, stdout, stderr } = await box.tsbox("image", "explore", "--format", "json", ...args);
  assert.is(code, 0, stderr);
  return JSON.parse(stdout);
}

/** "C etc/motd content": enough of a change to compare. */
const brief = ({ change, path, aspects }: ReportChange) =>
  [change[0]?.toUpperCase(), path, ...(aspects ?? [])].join(" ").replace(/^R /, "D ");

able("each layer's changes are those of the tree", async () => {
  const { layers } = await report("app:1");
  assert.equal(
    layers.map(({ number, instruction, size }) => [number, instruction, size]),
    [
      [1, "ADD file:1 in /", 6803],
      [2, "RUN rm -r /opt/old", 1122],
      [3, "COPY evil\x1b[2J <script>alert(1)</script> /", 1119],
    ],
  );
  assert.equal(layers[1]?.changes.map(brief), [
    "C data/binary content",
    "A data/copy",
    "C data/link link",
    "D data/linked",
    "C etc/motd content",
    "C etc/shadow mode",
    "D opt/old",
    "D opt/old/a",
    "D opt/old/b",
  ]);
  // what an opaque directory hides is removed, and what stands in it again is a copy
  assert.equal(layers[2]?.changes.slice(0, 5).map(brief), [
    "D data/binary",
    "D data/copy",
    "D data/link",
    "C data/one",
    "D data/other-name",
  ]);
  assert.equal([layers[0]?.added, layers[0]?.changed, layers[0]?.removed], [13, 0, 0]);
});

able("waste is what a later layer overwrites or removes, and hard links count once", async () => {
  const { size, wasted, efficiency, waste, biggest, duplicates } = await report("app:1");
  // all that is stored, without what a container sees
  const seen = 1000 + 106 + 7 + Object.values(HOSTILE).reduce((sum, name) => sum + name.length + 1, 0);
  assert.is(size, 6803 + 1122 + 1119);
  assert.is(wasted, size - seen);
  assert.is(efficiency, 1 - wasted / size);
  assert.equal(waste.find(({ path }) => path === "data/linked")?.versions, [
    { layer: 1, size: 700, by: 3, how: "removed" },
  ]);
  assert.equal(waste.find(({ path }) => path === "data/binary")?.bytes, 18);
  assert.equal(biggest.slice(0, 2), [
    { path: "data/one", size: 1000, layer: 3 },
    { path: "etc/motd", size: 106, layer: 2 },
  ]);
  assert.equal(
    duplicates.map(({ extra, places }) => [extra, places.map(({ path, layer }) => `${path} ${layer}`)]),
    [
      [2000, ["data/one 1", "data/copy 2", "data/one 3"]],
      [7, ["etc/shadow 1", "etc/shadow 2"]],
    ],
  );
});

able("two images: what containers of the second see and those of the first do not", async () => {
  await loadLayers(box, LAYERS.slice(0, 2), "docker.io/library/app:0");
  const { code, stdout } = await box.tsbox("image", "explore", "--format=json", "app:0", "app:1");
  assert.is(code, 0);
  const { changes, sharedLayers, images } = JSON.parse(stdout) as CompareReport;
  assert.is(sharedLayers, 2);
  assert.equal(
    images.map(({ name }) => name),
    ["app:0", "app:1"],
  );
  assert.equal(changes.map(brief).slice(0, 5), [
    "D data/binary",
    "D data/copy",
    "D data/link",
    "D data/other-name",
    "A evil",
  ]);
  const { stdout: text } = await box.tsbox("image", "explore", "app:0", "app:1");
  assert.match(text, /^app:0 → app:1\n2 shared layers; 5 added, 0 changed, 4 removed\n/);
  const diff = await box.tsbox("image", "explore", "--file", "/data/copy", "app:0", "app:1");
  assert.match(diff.stdout, /^--- a\/data\/copy\t\(app:0, layer 2\)\n\+\+\+ \/dev\/null\t\(app:1, layer 3\)$/m);
  await box.tsbox("rmi", "app:0");
});

able("a file's diff between two layers is one that patch applies", async () => {
  const { code, stdout, stderr } = await box.tsbox("explore", "--file=/etc/motd", "--from=1", "--to=2", "app:1");
  assert.is(code, 0, stderr);
  assert.match(stdout, /^-line 6\n\+changed <b>here<\/b> \\x1b\[31m$/m);
  const old = `${Array.from({ length: 12 }, (_, i) => `line ${i + 1}`).join("\n")}\n`;
  writeFileSync(join(box.dir, "motd"), old);
  writeFileSync(join(box.dir, "patch"), stdout.split("\n").slice(1).join("\n"));
  const patched = await box.program("sh", ["-c", "command -v patch && patch -s motd patch"], { cwd: box.dir });
  if (patched.code === 0)
    assert.is(readFileSync(join(box.dir, "motd"), "utf8"), old.replace("line 6", "changed <b>here</b> \\x1b[31m"));
  const [id] = (await report("app:1")).layers.map((layer) => layer.id);
  const byId = await box.tsbox("explore", "--file=etc/motd", `--from=${id?.slice(0, 19)}`, "--to=2", "app:1");
  assert.is(byId.stdout, stdout);
});

able("a file's diff without layers is its whole history; binary files are told by size and digest", async () => {
  const { stdout } = await box.tsbox("explore", "--format=json", "--file=data/binary", "app:1");
  const { diffs } = JSON.parse(stdout) as DiffReport;
  assert.equal(
    diffs.map(({ from, to, binary }) => [from.layer, to.layer, binary]),
    [
      [0, 1, true],
      [1, 2, true],
      [2, 3, true],
    ],
  );
  assert.match(diffs[1]?.text ?? "", /^- \(app:1, layer 1\) 9 bytes sha256:9731\w+\n\+ .* 9 bytes sha256:207a\w+\n$/);
  const link = await box.tsbox("explore", "--file=data/link", "--to=2", "app:1");
  assert.match(link.stdout, /^-one\n\+copy$/m);
  const hard = await box.tsbox("explore", "--file=data/other-name", "--to=1", "app:1");
  assert.match(hard.stdout, /^\+l{700}$/m, "a hard link has its target's content");
  const mode = await box.tsbox("explore", "--file=etc/shadow", "--from=1", "--to=2", "app:1");
  assert.match(mode.stdout, /the content is the same, the mode is 0644, was 0600/);
});

able("what cannot be compared is refused with the reason", async () => {
  const refused = async (reason: RegExp, ...args: string[]) => {
    const { code, stderr } = await box.tsbox("explore", ...args);
    assert.ok(code === 1 || code === 125, String(code));
    assert.match(stderr, reason);
  };
  await refused(/Cannot compare "\/nowhere": no layer of "app:1" has it\nhint/, "--file", "/nowhere", "app:1");
  await refused(/Cannot compare "etc": it is a directory/, "--file", "etc", "app:1");
  await refused(/Cannot find layer "9" of "app:1": it has layers 1 to 3/, "--file", "etc/motd", "--to", "9", "app:1");
  await refused(/Cannot use --from and --to without --file/, "--from", "1", "app:1");
  await refused(/Cannot browse the image: standard input and output are no terminal/, "-i", "app:1");
  await refused(/Cannot find image "none"/, "none");
  await refused(/Cannot read --max-waste "5x": expected a size/, "--max-waste", "5x", "app:1");
  await refused(/Cannot write ".*\/no\/r.html"/, "-o", "/no/r.html", "app:1");
});

able("the gate fails with the reason when too much is wasted", async () => {
  const gate = (...args: string[]) => box.tsbox("explore", ...args, "app:1");
  const share = await gate("--max-waste", "5%");
  assert.is(share.code, 1);
  assert.match(share.stderr, /^tsbox: Cannot accept "app:1" wastes 7\.\d+kB \(8\d\.\d+%\), allowed are 5%$/m);
  assert.is((await gate("--max-waste=90%")).code, 0);
  assert.is((await gate("--max-waste=1k")).code, 1);
  assert.is((await gate("--max-waste=1m")).code, 0);
  const efficiency = await gate("--min-efficiency=0.95");
  assert.is(efficiency.code, 1);
  assert.match(efficiency.stderr, /has an efficiency of 1\d\.\d+%, required is 95%/);
  assert.is((await gate("--min-efficiency=10%")).code, 0);
});

able("hostile names are harmless in the terminal and in JSON, and nothing of them is lost", async () => {
  for (const args of [["--all"], ["--layer=3"], ["--format=json"], ["--file", "/evil/\\x1b[2J\\x1b]0;owned\\x07"]]) {
    const { code, stdout, stderr } = await box.tsbox("explore", ...args, "app:1");
    assert.is(code, 0, stderr);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
    assert.not.match(stdout, /[\x00-\x08\x0b-\x1f\x7f-\x9f]/);
    assert.ok(stdout.includes("evil"));
  }
  const { layers } = await report("app:1");
  const names = (layers[2]?.changes ?? []).map(({ path, pathBase64 }) =>
    pathBase64 === undefined ? path : Buffer.from(pathBase64, "base64").toString("latin1"),
  );
  for (const name of Object.values(HOSTILE)) assert.ok(names.includes(name), name);
  assert.ok(layers[2]?.changes.some(({ path }) => path === "evil/caf\\xe9\\xff"));
});

able("a second look reads the cache, a damaged cache is made anew, rmi forgets it", async () => {
  await using other = workspace();
  await loadLayers(other, LAYERS, "docker.io/library/app:1");
  const first = await other.tsbox("explore", "--format=json", "app:1");
  const cache = join(other.dir, "store/cache/listings");
  const kept = readdirSync(cache).sort();
  assert.is(kept.length, 3);
  // with the layers' blobs away, only the cache can answer
  const { layers } = JSON.parse(first.stdout) as ImageReport;
  const blobs = layers.map(({ digest }) => join(other.dir, "store/oci/blobs/sha256", digest.slice(7)));
  const bytes = blobs.map((blob) => readFileSync(blob));
  for (const blob of blobs) rmSync(blob);
  assert.is((await other.tsbox("explore", "--format=json", "app:1")).stdout, first.stdout);
  blobs.forEach((blob, i) => {
    writeFileSync(blob, bytes[i] as Buffer);
  });
  for (const name of kept) writeFileSync(join(cache, name), '{"version":1,"rows":[[');
  assert.is((await other.tsbox("explore", "--format=json", "app:1")).stdout, first.stdout);
  assert.is((await other.tsbox("rmi", "app:1")).code, 0);
  assert.equal(existsSync(cache) ? readdirSync(cache) : [], []);
});

able("an image of one layer wastes nothing, whatever else it is", async () => {
  const { path, reference } = busyboxArchive();
  assert.is((await box.tsbox("load", "-q", "-i", path)).code, 0);
  const { layers, wasted, efficiency, size, biggest } = await report(reference);
  assert.is(wasted, 0);
  assert.is(efficiency, 1);
  assert.is(layers.length, 1);
  assert.ok(size > 100_000 && (biggest[0]?.size ?? 0) > 100_000);
  assert.is((await box.tsbox("explore", "--max-waste=0", reference)).code, 0);
});

able("files of GNU tar with sparse files, long names and repeated entries are told as they are", async () => {
  const tar = await withDirectory((dir) => {
    const long = "n".repeat(200);
    execFileSync(
      "sh",
      ["-c", `truncate -s 3M sparse; echo end >> sparse; mkdir d; echo x > d/${long}; echo first > twice`],
      {
        cwd: dir,
      },
    );
    return gnuTar(dir, "--sparse", "--format=posix", "sparse", "d", "twice");
  });
  const again = archive(entry({ name: "twice" }, "1234"), entry({ name: "twice" }, "second\n"));
  await loadLayers(box, [tar, again], "docker.io/library/tars:1");
  const { layers, wasted, size } = await report("tars:1");
  const sizes = new Map(layers[0]?.changes.map((change) => [change.path, change.size]));
  assert.is(sizes.get("sparse"), (3 << 20) + 4);
  assert.is(sizes.get(`d/${"n".repeat(200)}`), 2);
  assert.is(wasted, 6 + 4);
  assert.is(size, (3 << 20) + 4 + 2 + 6 + 4 + 7);
  const { stdout } = await box.tsbox("explore", "--file=twice", "--to=2", "tars:1");
  assert.match(stdout, /^-first\n\+second$/m);
});

test.run();
