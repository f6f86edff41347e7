import { test } from "uvu";
import * as assert from "uvu/assert";
import { decodeRecord, encodeRecord, layerRecord, RECORD_HEADER_SIZE, RecordKind } from "../../../runner/layers/abi.ts";

const bytes = (text: string) => Uint8Array.from(Buffer.from(text, "latin1"));

test("decodeRecord() is the inverse of encodeRecord()", () => {
  const record = layerRecord(RecordKind.FILE, {
    mode: 0o4755,
    uid: 4294967294,
    gid: 100000,
    mtimeSeconds: -5,
    mtimeNanoseconds: 999999999,
    size: 2 ** 53,
    data: 2 ** 53,
    path: bytes("caf\xe9/x"),
    link: bytes("target"),
    xattrs: [
      { name: bytes("user.a"), value: bytes("\0\xff") },
      { name: bytes("user.b"), value: bytes("") },
    ],
  });
  const encoded = encodeRecord(record);
  assert.is(encoded.length, RECORD_HEADER_SIZE + 6 + 6 + 8 + 6 + 2 + 8 + 6);
  assert.equal(decodeRecord(encoded), record);
});

test("decodeRecord() gives copies, whatever kind of array it was given", () => {
  const encoded = Buffer.from(encodeRecord(layerRecord(RecordKind.DIRECTORY, { path: bytes("abc") })));
  const record = decodeRecord(encoded);
  encoded.fill(0);
  assert.is(Buffer.from(record.path).toString(), "abc");
});

test("decodeRecord() refuses lengths that disagree", () => {
  const encoded = encodeRecord(layerRecord(RecordKind.DIRECTORY, { path: bytes("abc") }));
  assert.throws(() => decodeRecord(encoded.subarray(0, 40)), /too short/);
  assert.throws(() => decodeRecord(encoded.subarray(0, encoded.length - 1)), /disagree/);
  encoded[64] = 2;
  assert.throws(() => decodeRecord(encoded), /disagree/);
});

test.run();
