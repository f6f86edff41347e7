import { randomBytes } from "node:crypto";
import { constants, gzipSync, type ZlibOptions } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { UnpackEngine } from "../../../runner/layers/unpack-engine.ts";

function reader(bytes: Uint8Array, size = 1 << 20): (target: Uint8Array) => number {
  let at = 0;
  return (target) => {
    const n = Math.min(size, target.length, bytes.length - at);
    target.set(bytes.subarray(at, at + n));
    at += n;
    return n;
  };
}

/** Everything, copied: a piece is void two pieces later. */
function plain(bytes: Uint8Array, size?: number): Buffer {
  const pieces: Buffer[] = [];
  for (const piece of new UnpackEngine().pieces(reader(bytes, size))) pieces.push(Buffer.from(piece));
  return Buffer.concat(pieces);
}

const TEXT = Buffer.from(Array.from({ length: 90_000 }, (_, i) => `line ${(i * i) % 10_007} of many\n`).join(""));
const MIXED = Buffer.concat([TEXT.subarray(0, 300_000), randomBytes(400_000), Buffer.alloc(700_000), TEXT]);
const SOURCES = {
  text: TEXT,
  random: randomBytes(1_000_000),
  zeros: Buffer.alloc(3_000_000),
  mixed: MIXED,
  none: Buffer.alloc(0),
};

test("UnpackEngine gives what zlib was given: every level and strategy, several chunks long", () => {
  const { Z_FIXED, Z_RLE, Z_HUFFMAN_ONLY, Z_FILTERED } = constants;
  const ways: ZlibOptions[] = [0, 1, 6, 9].map((level) => ({ level }));
  ways.push(...[Z_FIXED, Z_RLE, Z_HUFFMAN_ONLY, Z_FILTERED].map((strategy) => ({ strategy })));
  ways.push({ windowBits: 9 }, { memLevel: 1 });
  for (const [name, source] of Object.entries(SOURCES)) {
    for (const way of ways) {
      assert.ok(plain(gzipSync(source, way)).equals(source), `${name}, ${JSON.stringify(way)}`);
    }
  }
});

test("UnpackEngine does not mind how its input is cut up, nor several members", () => {
  const small = MIXED.subarray(200_000, 420_000);
  const zip = Buffer.concat([gzipSync(small), gzipSync(TEXT), Buffer.alloc(1000)]);
  for (const size of [1, 3, 23, 24, 25, 4096]) {
    assert.ok(plain(zip, size).equals(Buffer.concat([small, TEXT])), `pieces of ${size}`);
  }
});

test("UnpackEngine keeps a piece as it is while `lasting` more are asked for", () => {
  const engine = new UnpackEngine();
  assert.ok(engine.lasting > 0);
  const zip = gzipSync(Buffer.concat(Array(12).fill(MIXED)), { level: 1 });
  const kept: { view: Uint8Array; copy: Buffer }[] = [];
  for (const piece of engine.pieces(reader(zip))) {
    for (const { view, copy } of kept.slice(-engine.lasting)) assert.ok(copy.equals(view), `piece ${kept.length}`);
    kept.push({ view: piece, copy: Buffer.from(piece) });
  }
  // the first place was used again
  assert.ok(new Set(kept.map(({ view }) => view.byteOffset >> 19)).size < kept.length);
});

test("UnpackEngine refuses what is cut off or damaged, with the archive's error", () => {
  const zip = gzipSync("a short text, a short text");
  for (let n = 0; n < zip.length; n++) {
    assert.throws(
      () => plain(zip.subarray(0, n)),
      /Cannot decompress archive: the gzip stream is damaged: it was cut off/,
    );
  }
  assert.throws(() => plain(Buffer.concat([zip, Buffer.from("x")])), /something follows its end/);
  const long = gzipSync(TEXT);
  let refused = 0;
  for (let n = 10; n < 2000; n++) {
    const broken = Buffer.from(long);
    broken[n] = (broken[n] as number) ^ 0x55;
    try {
      plain(broken);
    } catch (error) {
      assert.match((error as Error).message, /^Cannot decompress archive: the gzip stream is damaged: /);
      refused++;
    }
  }
  assert.ok(refused > 1500, `${refused} of 1990`);
});

test.run();
