import { createHash } from "node:crypto";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Hasher, LentHash } from "../../../runner/layers/lent-hash.ts";

const memory = new SharedArrayBuffer(64);
const bytes = new Uint8Array(memory).map((_, i) => i);
new Uint8Array(memory).set(bytes);
const piece = (at: number, length: number) => new Uint8Array(memory, at, length);

test("LentHash gives the digest of its pieces in order", () => {
  const hasher = new Hasher(memory);
  const hash = new LentHash(hasher.shared, 4, () => hasher.work());
  hash.update(piece(8, 8));
  hash.update(piece(0, 16));
  const wanted = createHash("sha256").update(bytes.subarray(8, 16)).update(bytes.subarray(0, 16)).digest("hex");
  assert.is(hash.digest("hex"), wanted);
});

test("Hasher is not confused by being told once more than there is to do", () => {
  const hasher = new Hasher(memory);
  const hash = new LentHash(hasher.shared, 4, () => {
    // the other thread looks just before it is told, and then because it is told
    hasher.work();
    hasher.work();
  });
  hash.update(piece(0, 64));
  assert.is(hash.digest("hex"), createHash("sha256").update(bytes).digest("hex"));
  hasher.work();
});

test.run();
