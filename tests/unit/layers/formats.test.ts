import { execFileSync } from "node:child_process";
import {
  closeSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  openSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { RecordFlag, RecordKind } from "../../../runner/layers/abi.ts";
import { recordStream } from "../../../runner/layers/reader.ts";
import { archive, chunks, type Entry, entry, gnuTar, header, pax, recordsOf, withDirectory } from "./archives.ts";

const LONG = "n".repeat(120);
const LONGER = `${"d".repeat(200)}/${"e".repeat(200)}`;

/** A tree with what an archive can hold; without long names for formats that cannot. */
function plant(root: string, longNames: boolean): void {
  mkdirSync(join(root, "dir"), { mode: 0o750 });
  writeFileSync(join(root, "dir/empty"), "");
  writeFileSync(join(root, "dir/file"), "content".repeat(1000), { mode: 0o4711 });
  writeFileSync(join(root, "block"), "x".repeat(512));
  linkSync(join(root, "dir/file"), join(root, "hard"));
  symlinkSync("../elsewhere/nothing", join(root, "soft"));
  execFileSync("mkfifo", ["-m", "600", join(root, "fifo")]);
  writeFileSync(Buffer.concat([Buffer.from(`${root}/caf`), Buffer.from([0xe9])]), "latin");
  writeFileSync(join(root, "grüße"), "utf-8");
  lutimesSync(join(root, "block"), 1234567890, 1234567890);
  if (!longNames) return;
  writeFileSync(join(root, LONG), "long");
  mkdirSync(join(root, LONGER), { recursive: true });
  writeFileSync(join(root, LONGER, "file"), "longer");
  symlinkSync("t".repeat(300), join(root, "to-long"));
}

const KINDS: [RecordKind, (stat: import("node:fs").Stats) => boolean][] = [
  [RecordKind.DIRECTORY, (s) => s.isDirectory()],
  [RecordKind.FILE, (s) => s.isFile()],
  [RecordKind.SYMLINK, (s) => s.isSymbolicLink()],
  [RecordKind.FIFO, (s) => s.isFIFO()],
];

function compare(root: string, entries: Entry[]): void {
  const found = execFileSync("find", [root, "-mindepth", "1", "-printf", "%P\\0"]).toString("latin1");
  const paths = found.split("\0").slice(0, -1).sort();
  assert.equal(
    entries
      .map((e) => e.path)
      .filter((path) => path !== "")
      .sort(),
    paths,
  );
  for (const { record, path, link, content } of entries) {
    const full = Buffer.from(`${root}/${path}`, "latin1");
    const stat = lstatSync(full);
    if (record.kind === RecordKind.HARDLINK) {
      assert.is(lstatSync(Buffer.from(`${root}/${link}`, "latin1")).ino, stat.ino, path);
      continue;
    }
    assert.is(record.kind, KINDS.find(([, is]) => is(stat))?.[0], path);
    if (!stat.isSymbolicLink()) assert.is(record.mode, stat.mode & 0o7777, path);
    assert.is(record.uid, stat.uid, path);
    assert.is(record.gid, stat.gid, path);
    assert.is(record.mtimeSeconds, Math.floor(stat.mtimeMs / 1000), path);
    if (stat.isFile()) assert.equal(content, readFileSync(full), path);
    if (stat.isSymbolicLink()) assert.is(link, readlinkSync(full), path);
  }
}

for (const format of ["v7", "oldgnu", "ustar", "gnu", "pax"]) {
  test(`a tree in GNU tar's ${format} format is read as it stands on disk`, () =>
    withDirectory(async (root) => {
      plant(root, format === "gnu" || format === "oldgnu" || format === "pax");
      // v7 has no type for a fifo.
      if (format === "v7") execFileSync("rm", [join(root, "fifo")]);
      const bytes = gnuTar(root, `--format=${format}`, ".");
      for (const size of [bytes.length, 65536, 100]) compare(root, await recordsOf(chunks(bytes, size)));
    }));
}

test("a device is read with its numbers", async () => {
  for (const format of ["ustar", "gnu", "pax"]) {
    const [device] = await recordsOf(chunks(gnuTar("/dev", `--format=${format}`, "--mode=0640", "null")));
    assert.is(device?.record.kind, RecordKind.CHARACTER);
    assert.is(device?.record.devMajor, 1);
    assert.is(device?.record.devMinor, 3);
    assert.is(device?.record.mode, 0o640);
  }
});

test("ids and times beyond octal are read, as base-256 and in PAX", () =>
  withDirectory(async (root) => {
    writeFileSync(join(root, "file"), "");
    for (const format of ["gnu", "pax"]) {
      const at = (time: string) =>
        gnuTar(root, `--format=${format}`, "--owner=:5000000", "--group=:4294967294", `--mtime=${time}`, "file");
      const [past] = await recordsOf(chunks(at("@-86400")));
      assert.is(past?.record.uid, 5000000);
      assert.is(past?.record.gid, 4294967294);
      assert.is(past?.record.mtimeSeconds, -86400);
      const [future] = await recordsOf(chunks(at("@99999999999")));
      assert.is(future?.record.mtimeSeconds, 99999999999);
    }
    const [fraction] = await recordsOf(chunks(gnuTar(root, "--format=pax", "--mtime=@-1.25", "file")));
    assert.is(fraction?.record.mtimeSeconds, -2);
    assert.is(fraction?.record.mtimeNanoseconds, 750000000);
  }));

test("a size beyond octal is read, as base-256 and in PAX", () =>
  withDirectory(async (root) => {
    // Sparse, so that nobody has to write 9 GiB.
    writeFileSync(join(root, "big"), "");
    truncateSync(join(root, "big"), 9 * 2 ** 30);
    for (const format of ["gnu", "pax"]) {
      const bytes = gnuTar(root, `--format=${format}`, "--sparse", "big");
      const pieces: Uint8Array[] = [];
      await recordStream(chunks(bytes), { write: (more: readonly Uint8Array[]) => void pieces.push(...more) });
      const stream = Buffer.concat(pieces);
      assert.is(Number(stream.readBigUInt64LE(40)), 9 * 2 ** 30);
      assert.is(stream[5], RecordFlag.SPARSE);
    }
  }));

const SPARSE: [name: string, args: string[]][] = [
  ["GNU's own", ["--format=gnu"]],
  ["PAX 0.0", ["--format=pax", "--sparse-version=0.0"]],
  ["PAX 0.1", ["--format=pax", "--sparse-version=0.1"]],
  ["PAX 1.0", ["--format=pax", "--sparse-version=1.0"]],
];

for (const [name, args] of SPARSE) {
  test(`a sparse file in ${name} format keeps its holes`, () =>
    withDirectory(async (root) => {
      // More pieces than fit into one old GNU header, one extension block, and one 1.0 map block.
      const want = Buffer.alloc(120 * 65536 + 777);
      for (let i = 0; i < 120; i++) want.write(`piece ${i}`, i * 65536 + (i % 7));
      const fd = openSync(join(root, "sparse"), "w");
      ftruncateSync(fd, want.length);
      for (let i = 0; i < 120; i++) writeSync(fd, `piece ${i}`, i * 65536 + (i % 7));
      closeSync(fd);
      writeFileSync(join(root, "sparse2"), "ordinary");
      writeFileSync(join(root, "a-hole"), "");
      truncateSync(join(root, "a-hole"), 1 << 20);
      const bytes = gnuTar(root, "--sparse", "--hole-detection=raw", ...args, ".");
      assert.ok(bytes.length < 1 << 21, "tar wrote no sparse archive");
      for (const size of [1 << 20, 333]) {
        const entries = await recordsOf(chunks(bytes, size));
        assert.equal(
          entries.map((e) => e.path),
          ["", "a-hole", "sparse", "sparse2"],
        );
        const [, hole, sparse, ordinary] = entries as [Entry, Entry, Entry, Entry];
        assert.is(hole.record.size, 1 << 20);
        assert.is(hole.segments, 0);
        assert.is(sparse.record.flags, RecordFlag.SPARSE);
        assert.ok(sparse.segments >= 100);
        assert.ok(sparse.content.equals(want));
        assert.is(ordinary.content.toString(), "ordinary");
      }
    }));
}

test("extended attributes are read, binary values too", async () => {
  const capability = Buffer.from([1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10]);
  const [file] = await recordsOf(
    chunks(archive(pax({ "SCHILY.xattr.security.capability": capability, "SCHILY.xattr.user.empty": "" }), entry({}))),
  );
  const shown = file?.record.xattrs.map(({ name, value }) => [
    Buffer.from(name).toString(),
    Buffer.from(value).toString("hex"),
  ]);
  assert.equal(shown, [
    ["security.capability", capability.toString("hex")],
    ["user.empty", ""],
  ]);
});

test("global PAX headers hold until another says otherwise", async () => {
  const entries = await recordsOf(
    chunks(
      archive(
        pax({ uid: "7", mtime: "100" }, "g"),
        entry({ name: "a" }),
        pax({ uid: "8" }),
        entry({ name: "b" }),
        entry({ name: "c" }),
        pax({ mtime: "200", comment: "text" }, "g"),
        entry({ name: "d" }),
      ),
    ),
  );
  assert.equal(
    entries.map(({ record }) => [record.uid, record.mtimeSeconds]),
    [
      [7, 100],
      [8, 100],
      [7, 100],
      [7, 200],
    ],
  );
});

test("old archives say directory by a slash, and leave the type in the mode", async () => {
  const entries = await recordsOf(
    chunks(
      archive(
        entry({ name: "dir/", type: "\0", magic: "", mode: 0o40755 }),
        entry({ name: "file", type: "7", magic: "" }),
      ),
    ),
  );
  assert.equal(
    entries.map(({ record }) => [record.kind, record.mode]),
    [
      [RecordKind.DIRECTORY, 0o755],
      [RecordKind.FILE, 0o644],
    ],
  );
});

test("links and directories have no content, whatever their size field says", async () => {
  const entries = await recordsOf(
    chunks(
      archive(
        header({ name: "f", size: 0 }),
        header({ name: "h", type: "1", link: "f", size: 1000 }),
        header({ name: "d", type: "5", size: 1000 }),
        entry({ name: "last" }, "text"),
      ),
    ),
  );
  assert.equal(
    entries.map((e) => e.path),
    ["f", "h", "d", "last"],
  );
});

test("a volume label and an incremental dump's listing are passed over", () =>
  withDirectory(async (root) => {
    mkdirSync(join(root, "dir"));
    writeFileSync(join(root, "dir/file"), "text");
    const bytes = gnuTar(root, "--format=gnu", "-V", "label", "--listed-incremental=snapshot", "dir");
    const entries = await recordsOf(chunks(bytes));
    assert.equal(
      entries.map((e) => e.path),
      ["dir", "dir/file"],
    );
    assert.is(entries[0]?.record.kind, RecordKind.DIRECTORY);
  }));

test("names lose what leads to the root", async () => {
  const names = ["/etc/a", "./etc/b", "etc//c", "//./etc/./d"];
  const entries = await recordsOf(chunks(archive(...names.map((name) => entry({ name })))));
  assert.equal(
    entries.map((e) => e.path),
    ["etc/a", "etc/b", "etc/c", "etc/d"],
  );
});

test.run();
