import { createHash } from "node:crypto";
import { Writable } from "node:stream";
import { gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { DigestMismatch, unpackLayer } from "../../../runner/layers/unpack.ts";
import { archive, chunks, END, entry, header, parseRecords } from "./archives.ts";

const LAYER = Buffer.concat([
  archive(
    entry({ name: "dir/", type: "5" }),
    entry({ name: "dir/file" }, "text"),
    entry({ name: "large" }, Buffer.alloc(1 << 20, 1)),
  ),
  Buffer.alloc(9216), // what GNU tar fills its last record with
]);
const DIFF_ID = `sha256:${createHash("sha256").update(LAYER).digest("hex")}`;

/** A sink that keeps what it gets. */
function keep() {
  const pieces: Uint8Array[] = [];
  return {
    write: (more: readonly Uint8Array[]) => void pieces.push(...more),
    records: () => parseRecords(Buffer.concat(pieces)),
  };
}

async function failure(promise: Promise<unknown>): Promise<Error> {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("it did not fail");
}

test("unpackLayer() says the diffID, size and entries of what passed", async () => {
  for (const bytes of [LAYER, gzipSync(LAYER)]) {
    const sink = keep();
    const got = await unpackLayer({
      source: chunks(bytes),
      sink,
      mediaType: "application/vnd.oci.image.layer.v1.tar+gzip",
      diffID: DIFF_ID,
    });
    assert.equal(got, { diffID: DIFF_ID, size: LAYER.length, entries: 3 });
    assert.ok(sink.records().ended);
    assert.is(sink.records().entries[2]?.content.length, 1 << 20);
  }
});

test("unpackLayer() gives no END when the diffID is wrong, and says got and want", async () => {
  const sink = keep();
  const want = `sha256:${"0".repeat(64)}`;
  const error = await failure(unpackLayer({ source: chunks(gzipSync(LAYER)), sink, diffID: want }));
  assert.instance(error, DigestMismatch);
  assert.is(error.message, `Cannot unpack layer: its diffID is ${DIFF_ID}, expected ${want}`);
  assert.not(sink.records().ended);
});

test("unpackLayer() gives no END when the source fails after the archive's end", async () => {
  const sink = keep();
  const source = async function* () {
    yield LAYER;
    throw new Error("the blob's digest is wrong");
  };
  assert.match((await failure(unpackLayer({ source: source(), sink }))).message, /the blob's digest is wrong/);
  assert.not(sink.records().ended);
});

test("unpackLayer() refuses a media type that is no layer's", async () => {
  for (const mediaType of [
    "application/vnd.oci.image.config.v1+json",
    "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
  ]) {
    const error = await failure(unpackLayer({ source: chunks(LAYER), sink: keep(), mediaType }));
    assert.is(error.message, `Cannot unpack layer: its media type is "${mediaType}", expected a tar`);
  }
  for (const mediaType of [
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
  ]) {
    assert.is((await unpackLayer({ source: chunks(LAYER), sink: keep(), mediaType })).diffID, DIFF_ID);
  }
});

test("unpackLayer() writes to a stream no faster than it is read", async () => {
  const received: Buffer[] = [];
  let waiting = 0;
  let most = 0;
  const stream = new Writable({
    highWaterMark: 1000,
    write(chunk: Buffer, _encoding, done) {
      received.push(chunk);
      setImmediate(done);
    },
  });
  const source = async function* () {
    for (let i = 0; i < 200; i++) {
      waiting = stream.writableLength;
      most = Math.max(most, waiting);
      yield Buffer.concat([header({ name: `f${i}`, size: 65536 }), Buffer.alloc(65536, i)]);
    }
    yield END;
  };
  const { entries } = await unpackLayer({ source: source(), sink: stream });
  await new Promise<void>((resolve) => stream.end(resolve));
  assert.is(entries, 200);
  assert.ok(most < 1 << 20, `${most} bytes were waiting`);
  const records = parseRecords(Buffer.concat(received));
  assert.ok(records.ended);
  assert.ok(records.entries.every((e, i) => e.content.length === 65536 && e.content[0] === i));
});

test("unpackLayer() fails when its reader goes away, and gives the source back", async () => {
  let closed = false;
  const source = async function* () {
    try {
      for (let i = 0; ; i++) yield entry({ name: `f${i}` }, Buffer.alloc(100_000));
    } finally {
      closed = true;
    }
  };
  let room = 5;
  const stream = new Writable({
    write(_chunk, _encoding, done) {
      if (room-- > 0) setImmediate(done);
      else stream.destroy(new Error("EPIPE"));
    },
  });
  stream.on("error", () => {});
  const error = await failure(unpackLayer({ source: source(), sink: stream }));
  assert.match(error.message, /EPIPE/);
  assert.ok(closed);
});

test("unpackLayer() holds little of a layer in memory, however large it is", async () => {
  // 1 GiB of files; what is written to the sink is not kept by anybody.
  const file = Buffer.concat([header({ name: "f", size: 1 << 20 }), Buffer.alloc(1 << 20, 7)]);
  const small = Buffer.concat(Array.from({ length: 500 }, (_, i) => entry({ name: `small${i}` }, "x".repeat(1500))));
  const source = async function* () {
    for (let i = 0; i < 1000; i++) {
      yield Buffer.from(file);
      if (i % 20 === 0) yield Buffer.from(small);
    }
    yield END;
  };
  const before = process.memoryUsage.rss();
  let most = 0;
  const { size, entries } = await unpackLayer({
    source: source(),
    sink: {
      write() {
        most = Math.max(most, process.memoryUsage.rss());
      },
    },
  });
  assert.ok(size > 1_000_000_000);
  assert.is(entries, 1000 + 50 * 500);
  assert.ok(most - before < 150 << 20, `grew by ${(most - before) >> 20} MiB`);
});

test.run();
