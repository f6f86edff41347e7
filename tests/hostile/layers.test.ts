/**
 * Archives made to do harm. Each test tells one attack and expects the engine to refuse it by the
 * entry's name. (What apply does when a path goes through a link is tested with the helper.)
 */
import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  archive,
  BLOCK,
  chunks,
  END,
  entry,
  header,
  padded,
  pax,
  paxRecord,
  recordsOf,
  refusal,
} from "../unit/layers/archives.ts";

const link = (name: string, target: string) => header({ name, type: "2", link: target });
const hard = (name: string, target: string) => header({ name, type: "1", link: target });

async function refuses(want: string, ...parts: Buffer[]): Promise<void> {
  assert.is(await refusal(archive(...parts)), `Cannot read archive: ${want}`);
}

test("a path cannot climb out of the root", async () => {
  await refuses('entry "../etc/passwd" leaves the root', entry({ name: "../etc/passwd" }));
  await refuses('entry "/../etc/passwd" leaves the root', entry({ name: "/../etc/passwd" }));
  await refuses('entry "a/b/../../../x" leaves the root', entry({ name: "a/b/../../../x" }));
  await refuses('entry ".." leaves the root', entry({ name: "..", type: "5" }));
});

test('a path cannot climb at all: what "a/.." means depends on whether "a" is a link', async () => {
  await refuses('entry "a/../b" has ".." in its path', entry({ name: "a/../b" }));
});

test("a path cannot climb out by way of a prefix, a GNU name or a PAX name", async () => {
  await refuses('entry "../../x" leaves the root', entry({ name: "../x", prefix: ".." }));
  await refuses('entry "../x" leaves the root', entry({ type: "L", name: "././@LongLink" }, "../x\0"), entry({}));
  await refuses('entry "../x" leaves the root', pax({ path: "../x" }), entry({}));
  await refuses(
    'entry "../x" leaves the root',
    pax({ "GNU.sparse.size": "0", "GNU.sparse.name": "../x" }),
    entry({ name: "harmless" }),
  );
});

test("an absolute path means the layer's own root", async () => {
  const [file] = await recordsOf(chunks(archive(entry({ name: "/etc/passwd" }))));
  assert.is(file?.path, "etc/passwd");
});

test("an entry cannot be written through a link that leads out", async () => {
  const below = (name: string) => `entry "${name}" is below a symbolic link that leads out of the root`;
  await refuses(below("evil/passwd"), link("evil", "/etc"), entry({ name: "evil/passwd" }));
  await refuses(below("evil/passwd"), link("evil", "../../etc"), entry({ name: "evil/passwd" }));
  await refuses(below("a/evil/b/c"), link("a/evil", "x/../../.."), entry({ name: "a/evil/b/c" }));
  await refuses(below("evil/.wh.passwd"), link("evil", "/etc"), entry({ name: "evil/.wh.passwd" }));
  await refuses(below("evil/.wh..wh..opq"), link("evil", "/etc"), entry({ name: "evil/.wh..wh..opq" }));
  await refuses(below("evil/d/"), link("evil", "/etc"), entry({ name: "evil/d/", type: "5" }));
  await refuses(below("./evil//passwd"), link("/evil", "/etc"), entry({ name: "./evil//passwd" }));
  // A second name of such a link is such a link.
  await refuses(below("other/passwd"), link("evil", "/etc"), hard("other", "evil"), entry({ name: "other/passwd" }));
});

test("a link that leads out is fine by itself, and so is one that stays, with entries below", async () => {
  const entries = await recordsOf(
    chunks(
      archive(
        link("etc/mtab", "/proc/mounts"),
        link("lib", "usr/lib"),
        entry({ name: "lib/file" }),
        link("var", "/srv"),
        entry({ name: "var/", type: "5" }), // no link any more
        entry({ name: "var/file" }),
      ),
    ),
  );
  assert.is(entries.length, 6);
});

test("a hard link cannot reach out of the root", async () => {
  await refuses('entry "h" is a hard link that leaves the root', hard("h", "../../etc/shadow"));
  await refuses('entry "h" is a hard link to a malformed path', hard("h", "a/../etc/shadow"));
  await refuses(
    'entry "h" is a hard link through a symbolic link that leads out of the root',
    link("evil", "/etc"),
    hard("h", "evil/shadow"),
  );
  await refuses('entry "h" is a hard link to the root', hard("h", "/"));
  await refuses('entry "h" is a hard link to itself', hard("h", "./h"));
  await refuses('entry "h" is a hard link without a target', hard("h", ""));
  const [absolute] = await recordsOf(chunks(archive(hard("h", "/etc/shadow"))));
  assert.is(absolute?.link, "etc/shadow");
});

test("nothing can take the place of the root", async () => {
  await refuses('entry "/" would replace the root', link("/", "/etc"));
  await refuses('entry "." would replace the root', link(".", "/etc"));
  await refuses('entry "./." would replace the root', header({ name: "./.", type: "6" }));
  await refuses('entry "" has no name', entry({ name: "" }));
});

test("a whiteout cannot take away a directory by its dots", async () => {
  await refuses('entry "a/.wh." is a whiteout of no name', entry({ name: "a/.wh." }));
  await refuses('entry "a/.wh.." is a whiteout of no name', entry({ name: "a/.wh.." }));
  await refuses('entry "a/.wh..." is a whiteout of no name', entry({ name: "a/.wh..." }));
  await refuses('entry ".wh.a/b" is below a whiteout', entry({ name: ".wh.a/b" }));
  await refuses('entry "h" is a hard link to a whiteout', hard("h", ".wh.a"));
});

test("a layer cannot steer overlayfs by its attributes", async () => {
  const want = 'entry "file" has an extended attribute that belongs to overlayfs';
  for (const name of ["user.overlay.redirect", "trusted.overlay.opaque", "user.overlay.whiteout"]) {
    await refuses(want, pax({ [`SCHILY.xattr.${name}`]: "y" }), entry({}));
  }
  await refuses(want, pax({ "LIBARCHIVE.xattr.trusted%2Eoverlay.opaque": "eQ==" }), entry({}));
});

test("a name with NUL is refused: others would see only its beginning", async () => {
  await refuses('entry "file" has a NUL in its name', pax({ path: "good\0../evil" }), entry({}));
  await refuses('entry "file" has a NUL in its link target', pax({ linkpath: "good\0../evil" }), link("file", "x"));
  await refuses(
    'entry "././@LongLink" has a NUL in its name',
    entry({ type: "L", name: "././@LongLink" }, "good\0evil\0"),
    entry({}),
  );
});

test("names that no file system takes are refused", async () => {
  const long = "x".repeat(256);
  assert.match(await refusal(archive(pax({ path: long }), entry({}))), /has a name of more than 255 bytes$/);
  assert.match(
    await refusal(archive(pax({ path: `${"x/".repeat(2048)}xx` }), entry({}))),
    /has a path of more than 4095 bytes$/,
  );
  assert.match(
    await refusal(archive(pax({ linkpath: "x/".repeat(2048) }), link("l", "x"))),
    /link target of more than 4095 bytes$/,
  );
  assert.match(
    await refusal(archive(entry({ type: "L" }, `${"x/".repeat(2048)}xx`), entry({}))),
    /has a path of more than 4095 bytes$/,
  );
});

test("a size that lies is refused before it is believed", async () => {
  const base256 = (hex: string) =>
    Buffer.from(
      hex.padStart(24, "0").replace(/^../, (first) => (Number.parseInt(first, 16) | 0x80).toString(16)),
      "hex",
    );
  await refuses('entry "file" has a negative size', header({ size: Buffer.alloc(12, 0xff) }));
  await refuses('entry "file" has an impossible size', header({ size: base256("20000000000001") }));
  await refuses('entry "file" has a malformed size', header({ size: base256("010000000000000000") }));
  await refuses('entry "file" has a malformed size', header({ size: Buffer.from("-00000000010") }));
  await refuses('entry "file" has an impossible size', pax({ size: "9007199254740993" }), entry({}));
  await refuses('entry "file" has an impossible size', pax({ size: "-1" }), entry({}));
  const message = await refusal(Buffer.concat([header({ size: base256("10000000000000") }), Buffer.alloc(5000)]));
  assert.is(message, 'Cannot read archive: it is cut off after 5512 bytes, in entry "file"');
});

test("a PAX size goes for its entry alone, not for the header between", async () => {
  // TARmageddon: a reader that takes the PAX size for the long name's block reads hidden entries as real.
  const hidden = entry({ name: "hidden" });
  const lying = archive(pax({ size: String(hidden.length) }), entry({ name: "outer", size: 0 }), hidden);
  assert.equal(
    (await recordsOf(chunks(lying))).map((e) => e.path),
    ["outer"],
  );
  const named = await recordsOf(
    chunks(
      archive(
        pax({ size: "1024" }),
        entry({ type: "L" }, "long name\0"),
        header({ name: "n", size: 0 }),
        Buffer.alloc(1024, "c"),
      ),
    ),
  );
  assert.equal(
    named.map((e) => [e.path, e.content.length]),
    [["long name", 1024]],
  );
});

test("an entry cannot have two names, of which each reader believes another", async () => {
  await refuses(
    'entry "gnu" has two names, a GNU and a PAX one',
    entry({ type: "L" }, "gnu\0"),
    pax({ path: "pax" }),
    entry({}),
  );
  await refuses(
    'entry "PaxHeader" is a second extended header for the same entry',
    pax({ path: "a" }),
    pax({ path: "b" }),
    entry({}),
  );
  await refuses(
    'entry "a" is a second extended header for the same entry',
    entry({ type: "L" }, "a\0"),
    entry({ type: "L" }, "b\0"),
    entry({}),
  );
  await refuses(
    'entry "PaxHeader" is a second extended header for the same entry',
    pax({ path: "a" }),
    pax({ uid: "1" }, "g"),
    entry({}),
  );
  assert.match(await refusal(archive(pax({ path: "x" }, "g"), entry({}))), /gives every entry the same path/);
  assert.match(
    await refusal(archive(pax({ path: "x" }))),
    /its end follows an extended header whose entry is missing$/,
  );
});

test('ids that the kernel takes for "leave as it is" are refused', async () => {
  await refuses('entry "file" has an impossible uid', header({ uid: Buffer.alloc(8, 0xff) }));
  await refuses('entry "file" has an impossible uid', header({ uid: Buffer.from("80000000ffffffff", "hex") }));
  await refuses('entry "file" has an impossible gid', pax({ gid: "4294967295" }), entry({}));
});

test("PAX headers that are malformed or too large are refused", async () => {
  const raw = (body: string | Buffer) => entry({ type: "x", name: "PaxHeader" }, body);
  for (const body of ["path=x\n", "99 path=x\n", "5 a=b\n", "0 =\n", " 9 path=x\n", "11 path=x\n", "9 path=x\n\0"]) {
    assert.match(await refusal(archive(raw(body), entry({}))), /entry "file" has a malformed PAX header$/);
  }
  const large = header({ type: "x", name: "PaxHeader", size: (1 << 20) + 1 });
  await refuses('entry "PaxHeader" is a PAX header of more than 1 MiB', large);
  const many = Buffer.concat(Array.from({ length: 600 }, (_, i) => paxRecord(`SCHILY.xattr.user.${i}`, "")));
  await refuses('entry "file" has extended attributes that are too many or too large', raw(many), entry({}));
  const value = Buffer.alloc(65537);
  await refuses(
    'entry "file" has extended attributes that are too many or too large',
    raw(paxRecord("SCHILY.xattr.user.a", value)),
    entry({}),
  );
});

const sparse1 = (map: string, content: number, real: string) =>
  Buffer.concat([
    pax({ "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": real }),
    entry({ name: "file" }, Buffer.concat([padded(Buffer.from(map)), Buffer.alloc(content)])),
  ]);
const sparse01 = (map: string, content: number, real: string) =>
  Buffer.concat([pax({ "GNU.sparse.size": real, "GNU.sparse.map": map }), entry({}, Buffer.alloc(content))]);

test("a sparse map that overlaps, is out of order, exceeds or differs is refused", async () => {
  await refuses(
    'entry "file" has a sparse map that overlaps or is out of order',
    sparse1("2\n0\n10\n5\n10\n", 20, "100"),
  );
  await refuses('entry "file" has a sparse map that overlaps or is out of order', sparse01("50,10,0,10", 20, "100"));
  await refuses('entry "file" has a sparse map that exceeds the file', sparse1("1\n95\n10\n", 10, "100"));
  await refuses(
    'entry "file" has a sparse map that exceeds the file',
    sparse01("9007199254740992,1", 1, "9007199254740992"),
  );
  await refuses(
    'entry "file" has a sparse map that differs from its content in size',
    sparse1("1\n0\n10\n", 11, "100"),
  );
  await refuses('entry "file" has a sparse map that differs from its content in size', sparse01("0,10", 9, "100"));
  await refuses('entry "file" has a sparse map that differs from its content in size', sparse01("", 9, "100"));
});

test("a sparse map that is malformed or endless is refused", async () => {
  await refuses('entry "file" has a malformed sparse map', sparse1("x\n", 0, "100"));
  await refuses('entry "file" has a malformed sparse map', sparse1("1\n\n10\n", 10, "100"));
  await refuses('entry "file" has a malformed sparse map', sparse1("1\n-5\n10\n", 10, "100"));
  await refuses('entry "file" has a malformed sparse map', sparse01("0", 0, "100"));
  await refuses('entry "file" has a sparse map of more than 131072 segments', sparse1("131073\n", 0, "100"));
  await refuses(
    'entry "file" has a sparse map that is longer than its content',
    sparse1("1000\n".padEnd(512, "0\n"), 0, "100"),
  );
  await refuses(
    'entry "file" has a sparse map of an unknown version',
    pax({ "GNU.sparse.major": "2", "GNU.sparse.realsize": "1" }),
    entry({}),
  );
  await refuses(
    'entry "file" has two sparse maps',
    pax({ "GNU.sparse.major": "1", "GNU.sparse.realsize": "1", "GNU.sparse.size": "1" }),
    entry({}),
  );
  await refuses(
    'entry "d/" has a sparse map but is not a file',
    pax({ "GNU.sparse.size": "1" }),
    entry({ name: "d/", type: "5" }),
  );
  // An old GNU map whose blocks each promise another, for as long as the source likes: bounded by the source alone.
  const more = Buffer.alloc(BLOCK);
  more[504] = 1;
  const first = header({
    type: "S",
    magic: "ustar  ",
    raw: [
      [482, Buffer.from([1])],
      [483, Buffer.from("00000000000")],
    ],
  });
  assert.match(
    await refusal(Buffer.concat([first, ...Array(1000).fill(more)])),
    /cut off after \d+ bytes, in entry "file"$/,
  );
});

test("a type that nobody knows is refused, not taken for a file", async () => {
  await refuses('entry "file" is of the unsupported type "Z"', entry({ type: "Z" }));
  await refuses('entry "file" is of the unsupported type "M"', entry({ type: "M", magic: "ustar  " }));
  await refuses('entry "file" is of the unsupported type "\\x1b"', entry({ type: "\x1b" }));
});

test("control characters of a name are shown, not obeyed", async () => {
  const message = await refusal(archive(entry({ name: "../\x1b]0;owned\x07\x1b[2J\n\x7f\xff" })));
  assert.is(message, 'Cannot read archive: entry "../\\x1b]0;owned\\x07\\x1b[2J\\x0a\\x7f\\xff" leaves the root');
  const bidi = await refusal(archive(pax({ path: Buffer.from("../\u202etxt.exe") }), entry({})));
  assert.not.match(bidi, /\u202e/);
});

test("damaged headers are refused with their place", async () => {
  const bytes = archive(entry({ name: "a" }, "text"), entry({ name: "b" }));
  bytes[2 * BLOCK + 1] = 0xff;
  assert.is(await refusal(bytes), "Cannot read archive: bad header checksum at byte 1024");
  assert.is(
    await refusal(Buffer.alloc(2000, "x")),
    "Cannot read archive: it is not a tar archive: bad checksum at byte 0",
  );
  assert.is(await refusal(Buffer.alloc(0)), "Cannot read archive: it is empty");
  const hidden = Buffer.concat([entry({ name: "a" }), Buffer.alloc(BLOCK), entry({ name: "hidden" }), END]);
  assert.is(await refusal(hidden), "Cannot read archive: it goes on after a block of zeros at byte 1024");
});

test("an archive cut off at any byte is refused", async () => {
  const small = Buffer.concat([entry({ type: "L" }, `${"l".repeat(150)}\0`), entry({}, "content")]);
  const large = Buffer.concat([
    entry({ name: "dir/", type: "5" }),
    pax({ path: "p".repeat(200), "SCHILY.xattr.user.a": "b" }),
    entry({}, "x".repeat(600)),
    sparse1("2\n0\n10\n50\n10\n", 20, "100"),
    link("l", "dir"),
  ]);
  for (const [bytes, step] of [
    [small, 1],
    [large, 61],
  ] as const) {
    const whole = Buffer.concat([bytes, END]);
    for (let n = 0; n < bytes.length + BLOCK; n += step) {
      assert.match(await refusal(whole.subarray(0, n)), n === 0 ? /it is empty/ : /cut off after \d+ bytes/);
    }
    // With one of its two blocks of zeros the end is plain.
    assert.ok((await recordsOf(chunks(whole.subarray(0, -BLOCK)))).length > 0);
  }
});

test("what comes after the end is no entry", async () => {
  const entries = await recordsOf(
    chunks(Buffer.concat([archive(entry({ name: "a" })), archive(entry({ name: "b" }))])),
  );
  assert.equal(
    entries.map((e) => e.path),
    ["a"],
  );
});

test("links beyond what is remembered do not fill the memory or stop the engine", async () => {
  const links = Buffer.concat(Array.from({ length: 60_000 }, (_, i) => link(`l${i}`, "/nix/store")));
  const entries = await recordsOf(chunks(archive(links)));
  assert.is(entries.length, 60_000);
});

test.run();
