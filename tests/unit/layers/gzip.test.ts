import { randomBytes } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { gzipPieces, looksRandom } from "../../../runner/layers/gzip.ts";
import { PIECE, PiecePool } from "../../../runner/layers/pieces.ts";

async function compressed(pieces: Buffer[]): Promise<Buffer> {
  async function* source() {
    yield* pieces;
  }
  const out: Buffer[] = [];
  for await (const chunk of gzipPieces(source(), new PiecePool())) out.push(Buffer.from(chunk));
  return Buffer.concat(out);
}

const text = Buffer.from("a line of text, and another one\n".repeat(PIECE / 32)).subarray(0, PIECE);

test("gzipPieces() writes what gunzip reads, whatever is in the pieces", async () => {
  const pieces = [text, randomBytes(PIECE), text, randomBytes(70_000), Buffer.alloc(100)];
  assert.ok(gunzipSync(await compressed(pieces)).equals(Buffer.concat(pieces)));
  assert.ok(gunzipSync(Buffer.concat([await compressed([]), gzipSync("")])).equals(Buffer.alloc(0)));
});

test("gzipPieces() gives the same bytes for the same pieces", async () => {
  const pieces = Array.from({ length: 12 }, (_, number) => (number % 3 === 0 ? text : randomBytes(PIECE)));
  assert.ok((await compressed(pieces)).equals(await compressed(pieces)));
});

test("what does not compress costs next to nothing more", async () => {
  const piece = randomBytes(PIECE);
  const { length } = await compressed([piece]);
  assert.ok(length < PIECE + 200, `${length}`);
});

test("looksRandom() knows compressed data from text, base64 and zeros, also behind a header", () => {
  const random = randomBytes(PIECE);
  assert.ok(looksRandom(random));
  assert.ok(looksRandom(gzipSync(Buffer.from(random.toString("base64"))).subarray(0, PIECE)));
  assert.ok(looksRandom(Buffer.concat([Buffer.alloc(2048), random.subarray(2048)])));
  assert.not(looksRandom(text));
  assert.not(looksRandom(Buffer.from(random.toString("base64")).subarray(0, PIECE)));
  assert.not(looksRandom(Buffer.alloc(PIECE)));
  assert.not(looksRandom(Buffer.concat([random.subarray(0, PIECE / 2), text.subarray(PIECE / 2)])));
  assert.not(looksRandom(randomBytes(100)));
});

test.run();
