import { gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { decompress, decompressArchive, sniff } from "../../../runner/layers/decompress.ts";
import { unzstd } from "../../../runner/layers/zstd.ts";
import { chunks, concat } from "./archives.ts";

const TEXT = Buffer.from(Array.from({ length: 20000 }, (_, i) => `line ${i % 100} of twenty thousand\n`).join(""));
/** TEXT by `zstd -19`: several blocks and a checksum. */
const ZSTD = Buffer.from(
  "KLUv/aSQNQgAnAQA4gcWFKCrAwR7PNfNAHDYllJKmWLx3lU8QEoppZRSSpmZmZmZiIiIiIh3d3d3d2ZmZmZmVVVVVVX///+/bdu23bZt26bEs7oLDImwNIrBoIdJCIdBhYICRCQHEmWoEeDvfwfAo9I1EkgQ+E8QGIa///8Ze/WFahmlJKX0EQLBB+HABmHgBVFggiB0iMWTzOSPDWhVVAAAAAEA/f9j+LkGAkQAAAABAP3/OQACRAAAAAEA/f85AAI9AAAAAQCNlQdASVcxIA==",
  "base64",
);
/** A frame that decoders pass over. */
const SKIPPABLE = Buffer.from("532a4d1803000000616263", "hex");
const SIZES = [1, 7, 1000, 1 << 20];

async function refusal(bytes: Uint8Array, size = 1000): Promise<string> {
  try {
    await concat(decompress(chunks(bytes, size)));
  } catch (error) {
    assert.is((error as Error).name, "TsboxError");
    return (error as Error).message;
  }
  throw new Error("the data was accepted");
}

test("sniff() goes by the first bytes", () => {
  assert.is(sniff(gzipSync("")), "gzip");
  assert.is(sniff(ZSTD), "zstd");
  assert.is(sniff(SKIPPABLE), "zstd");
  assert.is(sniff(Buffer.from("etc/passwd")), "none");
  assert.is(sniff(Buffer.from([0x1f])), "none");
  assert.is(sniff(Buffer.alloc(0)), "none");
});

test("decompress() reads gzip, zstd and plain bytes, however they are cut up", async () => {
  for (const size of SIZES) {
    for (const bytes of [TEXT, gzipSync(TEXT), ZSTD]) {
      assert.ok(TEXT.equals(await concat(decompress(chunks(bytes, size)))));
    }
  }
});

test("decompress() reads several gzip members and zstd frames in a row", async () => {
  const twice = Buffer.concat([TEXT, TEXT]);
  const zip = gzipSync(TEXT);
  for (const size of [...SIZES.slice(1), zip.length]) {
    assert.ok(twice.equals(await concat(decompress(chunks(Buffer.concat([zip, zip]), size)))));
    const frames = Buffer.concat([SKIPPABLE, ZSTD, SKIPPABLE, ZSTD, SKIPPABLE]);
    assert.ok(twice.equals(await concat(decompress(chunks(frames, size)))));
  }
});

test("decompress() lets zeros follow gzip, as tapes and gzip do", async () => {
  const bytes = Buffer.concat([gzipSync(TEXT), Buffer.alloc(5000)]);
  for (const size of [100, 1 << 20]) assert.ok(TEXT.equals(await concat(decompress(chunks(bytes, size)))));
});

test("decompress() refuses what follows compressed data", async () => {
  for (const size of [1, 1000]) {
    assert.match(
      await refusal(Buffer.concat([gzipSync("x"), Buffer.from("garbage")]), size),
      /Cannot decompress archive: /,
    );
    assert.match(await refusal(Buffer.concat([ZSTD, Buffer.from("garbage")]), size), /followed by something else/);
  }
});

test("decompress() refuses data that is cut off, at any byte", async () => {
  const zip = gzipSync("a short text, a short text");
  for (let n = 2; n < zip.length; n++) assert.match(await refusal(zip.subarray(0, n)), /cut off/);
  for (let n = 4; n < ZSTD.length; n++) assert.match(await refusal(ZSTD.subarray(0, n)), /cut off/);
});

test("decompress() refuses damaged data", async () => {
  const zip = gzipSync(TEXT);
  zip[zip.length - 6] = (zip[zip.length - 6] as number) ^ 1;
  assert.match(await refusal(zip), /Cannot decompress archive: incorrect data check/);
});

test("decompress() names a compression that it does not know", async () => {
  assert.match(await refusal(Buffer.from("fd377a585a0000", "hex")), /compressed by xz, expected gzip, zstd or none/);
  assert.match(await refusal(Buffer.from("BZh91AY")), /compressed by bzip2/);
  assert.match(await refusal(Buffer.from("PK\x03\x04....")), /compressed by zip/);
});

test("decompress() gives back its source when the reader stops early, and when it fails", async () => {
  for (const bytes of [TEXT, gzipSync(TEXT), ZSTD]) {
    let closed = 0;
    const source = async function* () {
      try {
        for (;;) yield bytes;
      } finally {
        closed++;
      }
    };
    for await (const chunk of decompress(source())) {
      assert.ok(chunk.length > 0);
      break;
    }
    // pipeline() gives the source back a moment later.
    for (let i = 0; i < 100 && closed === 0; i++) await new Promise((resolve) => setImmediate(resolve));
    assert.is(closed, 1);
  }
});

test("decompress() passes on an error of its source as it is", async () => {
  const mine = new Error("the network is gone");
  for (const bytes of [TEXT, gzipSync(TEXT).subarray(0, 100), ZSTD.subarray(0, 100)]) {
    const source = async function* () {
      yield bytes;
      throw mine;
    };
    let got: unknown;
    try {
      await concat(decompress(source()));
    } catch (error) {
      got = error;
    }
    assert.is(got, mine);
  }
});

test("unzstd() in JavaScript gives what the source holds block by block", async () => {
  // A frame of repeated bytes: 4 bytes for each 128 KiB, which must not come all at once.
  const block = Buffer.from([0x02, 0x00, 0x10, 0x61]);
  const last = Buffer.from([0x03, 0x00, 0x10, 0x61]);
  const frame = Buffer.concat([Buffer.from("28b52ffd0040", "hex"), ...Array(2000).fill(block), last]);
  let length = 0;
  for await (const chunk of unzstd(chunks(frame, 1 << 20), false)) {
    assert.ok(chunk.length <= 128 << 10);
    length += chunk.length;
  }
  assert.is(length, 2001 * (128 << 10));
});

test("unzstd() in JavaScript refuses a window that would fill the memory, before it is reserved", async () => {
  const frame = Buffer.concat([Buffer.from("28b52ffd00a8", "hex"), Buffer.from([0x03, 0x00, 0x10, 0x61])]);
  let message = "";
  try {
    await concat(unzstd(chunks(frame), false));
  } catch (error) {
    message = (error as Error).message;
  }
  assert.match(message, /needs a window of more than 128 MiB/);
});

/** The first 2000 lines of TEXT by bzip2 -1 and by xz -9. */
const SHORT = TEXT.subarray(0, 53800);
const BZIP2 = Buffer.from(
  "QlpoMTFBWSZTWSJxiCUANlXZgAAQQAB/4CdljqBQA34AAAPAoAAAyZBQAABkyCgAADJkCaqoAaNAGnqApVIB/qlTIAGe4Sq+oSq9ydycE4J4J5J6Jick+hPYnuTyTExOhMTExMTExMTwTExMTqTExMTExMTuTExMTE7ExMTExMTsTExMTExO5MTExMTqTExMTExMTwTExMToTExMTExMTE8kxMTgmJiYmJiYmJieiYTExMTExMTExMTE+AlV9wlV9ick5JyTknJOSck5J7E9ExMTExMTExMTE9CLExOhMTExMTExMTyIsTExOpMTExMTExPAixMTExOxMTExMTE7iLExMTExO5MTExMTsIsTExMTExPBMTExOoixMTExMTExPJMTE6CLExMTExMTExPRMTgRcE4JiYmJiYmJiYnoRf0JVfwEqvgJVf4SDFUgxVIPlUg0qkGKpBpVIMqpBiqQfqpBrqpBzqkGVUgyqpB/F3JFOFCQInGIJQ==",
  "base64",
);
const XZ = Buffer.from(
  "/Td6WFoAAATm1rRGAgAhARwAAAAQz1jM4NInAP1dADYaSh8IoCYDTQad+LdW7Q7yi2Varspju4NDbfOzYass9I6/ancdLUIUbXgsG4w2aQjzm5sgEygSPg4sTDN5Bjkn711Ijs1gfsE5gJ+wUgR88cuwrMNjP1Yk/84Xnz+gQjttviap2cgDBgVCFsUeMV3s/Dv1qeikxp/+0bPtUBvIkd7vEjwPHvxXok65X7XksI4IyfsdG3J3A/fU77/8kAZYprmIyYxerl1YIgtkb6q8k47ECpcKRAOkRS3884HUP2Pu9UtUShspaisK3VUJAGnwimjTSIXHONb80kaywEp/pAeMqLu/Sy2NwGaX3SG+/b845mpNH/eQA6aV6wAAAAAAzyGrNgt+EfkAAZkCqKQDAKNXf/6xxGf7AgAAAAAEWVo=",
  "base64",
);

async function archiveRefusal(bytes: Uint8Array): Promise<string> {
  try {
    await concat(decompressArchive(chunks(bytes, 100)));
  } catch (error) {
    assert.is((error as Error).name, "TsboxError");
    return (error as Error).message;
  }
  throw new Error("the data was accepted");
}

test("decompressArchive() reads bzip2 and xz, too, however they are cut up", async () => {
  for (const size of SIZES) {
    for (const bytes of [SHORT, gzipSync(SHORT), BZIP2, XZ]) {
      assert.ok(SHORT.equals(await concat(decompressArchive(chunks(bytes, size)))));
    }
  }
  const twice = await concat(decompressArchive(chunks(Buffer.concat([BZIP2, BZIP2]), 999)));
  assert.ok(Buffer.concat([SHORT, SHORT]).equals(twice));
});

test("two xz streams may be read at the same time", async () => {
  const read = () => concat(decompressArchive(chunks(XZ, 50)));
  for (const found of await Promise.all([read(), read(), read()])) assert.ok(SHORT.equals(found));
});

test("decompressArchive() refuses bzip2 and xz data that are cut off or damaged, wherever", async () => {
  for (const bytes of [BZIP2, XZ]) {
    for (let length = 7; length < bytes.length; length += 5) {
      assert.match(await archiveRefusal(bytes.subarray(0, length)), /cut off|damaged/);
    }
    for (let at = 6; at < bytes.length; at += 3) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] as number) ^ 0x10;
      const told = await archiveRefusal(changed).catch(() => "");
      // padding may hold anything
      assert.match(told, /^Cannot decompress archive: |^$/);
    }
  }
});

test("what has the beginning of bzip2 and is made up ends, and with an error", async () => {
  let seed = 1;
  const random = () => {
    seed = (seed * 1103515245 + 12345) & 0x7fffffff;
    return seed >> 16;
  };
  const head = BZIP2.subarray(0, 14);
  for (let n = 0; n < 300; n++) {
    const noise = Buffer.from(Array.from({ length: 400 }, random));
    // as much of the real beginning as gets it further in
    const bytes = Buffer.concat([head, BZIP2.subarray(14, 14 + (n % 60)), noise]);
    assert.match(await archiveRefusal(bytes), /damaged|cut off|too old/);
  }
});

test.run();
