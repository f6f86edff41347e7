import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodeRecord, type LayerRecord, layerRecord, RecordFlag, RecordKind } from "../../../runner/layers/abi.ts";
import {
  directoryRecord,
  fileRecord,
  type OutgoingEntry,
  tarWriter,
  writeArchive,
} from "../../../runner/layers/writer.ts";
import { chunks, concat, recordsOf, withDirectory } from "./archives.ts";

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "latin1"));

const ENTRIES: OutgoingEntry[] = [
  { record: directoryRecord("", { mtimeSeconds: 5 }) },
  { record: directoryRecord("dir", { mode: 0o1777 }) },
  { record: fileRecord("dir/file", 4, { mtimeSeconds: 1700000000 }), content: [Buffer.from("te"), Buffer.from("xt")] },
  { record: fileRecord("fraction", 0, { mtimeSeconds: -3, mtimeNanoseconds: 250_000_000 }) },
  { record: fileRecord("owned", 0, { uid: 4294967294, gid: 2097152, mode: 0o6755 }) },
  { record: fileRecord(`${"p".repeat(90)}/${"q".repeat(90)}`, 0) },
  { record: fileRecord("n".repeat(200), 512), content: [Buffer.alloc(512, 1)] },
  { record: fileRecord("", 0, { path: bytes("caf\xe9") }) },
  { record: layerRecord(RecordKind.SYMLINK, { path: bytes("soft"), link: bytes("s".repeat(300)), mode: 0o777 }) },
  { record: layerRecord(RecordKind.HARDLINK, { path: bytes("hard"), link: bytes("dir/file"), mode: 0o644 }) },
  { record: layerRecord(RecordKind.FIFO, { path: bytes("fifo"), mode: 0o600 }) },
  {
    record: fileRecord("attributes", 0, {
      xattrs: [
        { name: bytes("user.a"), value: bytes("1") },
        { name: bytes("user.b"), value: bytes("\0\n=") },
      ],
    }),
  },
];
const LAYER_ONLY: OutgoingEntry[] = [
  { record: layerRecord(RecordKind.CHARACTER, { path: bytes("null"), mode: 0o666, devMajor: 1, devMinor: 3 }) },
  { record: layerRecord(RecordKind.BLOCK, { path: bytes("disk"), mode: 0o660, devMajor: 8, devMinor: 1048575 }) },
  { record: layerRecord(RecordKind.WHITEOUT, { path: bytes("dir/gone") }) },
  { record: layerRecord(RecordKind.WHITEOUT, { path: bytes("w".repeat(255)) }) },
  { record: layerRecord(RecordKind.OPAQUE, { path: bytes("dir") }) },
  { record: layerRecord(RecordKind.OPAQUE) },
];

test("what writeArchive() writes, the reader reads as it was", async () => {
  const all = [...ENTRIES, ...LAYER_ONLY];
  const archive = await concat(writeArchive(all));
  assert.is(archive.length % 512, 0);
  const read = await recordsOf(chunks(archive));
  assert.is(read.length, all.length);
  for (const [i, { record, path }] of read.entries()) {
    const want = encodeRecord((all[i] as OutgoingEntry).record);
    assert.ok(Buffer.from(want).equals(encodeRecord(record)), `entry ${i}, "${path}"`);
  }
});

test("writeArchive() gives the same bytes for the same entries, in whatever order attributes come", async () => {
  const swapped = ENTRIES.map(({ record, content }) => ({
    record: { ...record, xattrs: [...record.xattrs].reverse() },
    content,
  }));
  assert.ok((await concat(writeArchive(ENTRIES))).equals(await concat(writeArchive(swapped as OutgoingEntry[]))));
});

test("GNU tar extracts what writeArchive() writes", () =>
  withDirectory(async (root) => {
    writeFileSync(join(root, "archive"), await concat(writeArchive(ENTRIES)));
    mkdirSync(join(root, "out"));
    execFileSync("tar", ["-xp", "--no-same-owner", "-f", "../archive"], { cwd: join(root, "out"), stdio: "pipe" });
    const at = (path: string) => join(root, "out", path);
    assert.is(readFileSync(at("dir/file"), "utf8"), "text");
    assert.is(lstatSync(at("dir/file")).mtimeMs, 1700000000_000);
    assert.is(lstatSync(at("fraction")).mtimeMs, -2750);
    assert.is(lstatSync(at("dir")).mode & 0o7777, 0o1777);
    assert.is(lstatSync(at("hard")).ino, lstatSync(at("dir/file")).ino);
    assert.is(readlinkSync(at("soft")), "s".repeat(300));
    assert.is(lstatSync(at("n".repeat(200))).size, 512);
    assert.ok(lstatSync(at(`${"p".repeat(90)}/${"q".repeat(90)}`)).isFile());
    assert.ok(lstatSync(at("fifo")).isFIFO());
    const listed = execFileSync("tar", ["-tv", "--numeric-owner", "--xattrs", "--xattrs-include=*", "-f", "archive"], {
      cwd: root,
    }).toString();
    assert.match(listed, /-rwsr-sr-x +4294967294\/2097152 .* owned/);
    assert.match(listed, /attributes/);
  }));

test("writeArchive() uses PAX only where ustar is too small", async () => {
  const { header } = tarWriter();
  const blocks = (record: LayerRecord) => header(record).length / 512;
  assert.is(blocks(fileRecord("n".repeat(100), 0o77777777777)), 1);
  assert.is(blocks(fileRecord(`${"p".repeat(155)}/${"n".repeat(100)}`, 0)), 1);
  assert.is(blocks(fileRecord("n".repeat(101), 0)), 3);
  assert.is(blocks(fileRecord("f", 0o100000000000)), 3);
  assert.is(blocks(fileRecord("f", 0, { uid: 0o7777777 })), 1);
  assert.is(blocks(fileRecord("f", 0, { uid: 0o10000000 })), 3);
  assert.is(blocks(fileRecord("f", 0, { mtimeNanoseconds: 1 })), 3);
});

test("writeArchive() refuses content that differs from its size", async () => {
  for (const content of [[], [Buffer.from("short")], [Buffer.alloc(20)]]) {
    let message = "";
    try {
      await concat(writeArchive([{ record: fileRecord("f\n", 10), content }]));
    } catch (error) {
      message = (error as Error).message;
    }
    assert.match(message, /^Cannot write entry "f\\x0a": its content has \d+ bytes, expected 10$/);
  }
});

test("tarWriter() refuses what no archive can hold", () => {
  const { header } = tarWriter();
  assert.throws(() => header(fileRecord("f", 1, { flags: RecordFlag.SPARSE })), /entry "f" is sparse/);
  assert.throws(() => header(fileRecord("a\0b", 0)), /entry "a\\x00b" has a NUL in its name/);
  assert.throws(() => header(fileRecord("", 0)), /has no name/);
  assert.throws(
    () => header(fileRecord("f", 0, { xattrs: [{ name: bytes("user.a=b"), value: bytes("") }] })),
    /no archive can hold/,
  );
  assert.throws(
    () => header(fileRecord("f", 0, { xattrs: [{ name: bytes("user.a"), value: new Uint8Array(2 << 20) }] })),
    /too long/,
  );
  assert.throws(() => header(layerRecord(RecordKind.SEGMENT, { path: bytes("f") })), /unknown kind/);
});

test.run();
