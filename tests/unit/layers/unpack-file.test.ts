import { createHash, randomBytes } from "node:crypto";
import { closeSync, createReadStream, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Growth } from "../../../runner/base/growth.ts";
import { unpackLayer } from "../../../runner/layers/unpack.ts";
import { UnpackWorker } from "../../../runner/layers/unpack-worker.ts";
import { closeFd, makePipe } from "../../../runner/sys/native.ts";
import { archive, chunks, entry, parseRecords, withDirectory } from "./archives.ts";

/** Longer than the engine's three chunks, with parts that do and do not compress. */
const LAYER = archive(
  entry({ name: "dir/", type: "5" }),
  entry({ name: "random" }, randomBytes(900_000)),
  ...Array.from({ length: 500 }, (_, i) => entry({ name: `dir/file-${i}` }, `text ${i}\n`.repeat(i))),
  entry({ name: "zeros" }, Buffer.alloc(2_000_000)),
);
const DIFF_ID = `sha256:${createHash("sha256").update(LAYER).digest("hex")}`;

async function expected(): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  await unpackLayer({
    source: chunks(LAYER),
    sink: { write: (more: readonly Uint8Array[]) => void pieces.push(...more.map((p) => Buffer.from(p))) },
  });
  return Buffer.concat(pieces);
}

interface Outcome {
  records: Buffer;
  result: PromiseSettledResult<Awaited<ReturnType<UnpackWorker["unpack"]>>>;
}

/** Has a file unpacked into a pipe; `meanwhile` may let it grow. */
async function unpack(
  path: string,
  size: number,
  growth?: Growth,
  meanwhile = async () => {},
  diffID = DIFF_ID,
): Promise<Outcome> {
  const worker = new UnpackWorker();
  const [read, write] = makePipe();
  const fd = openSync(path, "r");
  const records = buffer(createReadStream("", { fd: read }));
  try {
    const job = worker.unpack({ fd, size, sink: write, diffID, ...(growth && { growth: growth.shared }) });
    const [result] = await Promise.allSettled([job, meanwhile()]);
    closeFd(write);
    return { records: await records, result };
  } finally {
    closeSync(fd);
    await worker.close();
  }
}

test("a worker makes of a file, compressed or not, the same records as unpackLayer()", async () => {
  await withDirectory(async (folder) => {
    const want = await expected();
    for (const bytes of [gzipSync(LAYER), gzipSync(LAYER, { level: 0 }), LAYER]) {
      const path = join(folder, "layer");
      writeFileSync(path, bytes);
      const { records, result } = await unpack(path, bytes.length);
      assert.equal(result, { status: "fulfilled", value: { diffID: DIFF_ID, size: LAYER.length, entries: 503 } });
      assert.ok(want.equals(records));
    }
  });
});

test("a worker waits for a file that grows", async () => {
  await withDirectory(async (folder) => {
    const path = join(folder, "layer");
    const bytes = gzipSync(LAYER);
    writeFileSync(path, "");
    const growth = new Growth();
    const grow = async () => {
      const fd = openSync(path, "w");
      for (let at = 0; at < bytes.length; at += 100_000) {
        writeSync(fd, bytes.subarray(at, at + 100_000), 0, undefined, at);
        growth.advance(Math.min(at + 100_000, bytes.length));
        await sleep(5);
      }
      closeSync(fd);
    };
    const { records, result } = await unpack(path, bytes.length, growth, grow);
    assert.is(result.status, "fulfilled");
    assert.ok((await expected()).equals(records));
  });
});

test("a worker gives no END when the file's source fails, when it is short, nor for another diffID", async () => {
  await withDirectory(async (folder) => {
    const path = join(folder, "layer");
    const bytes = gzipSync(LAYER);
    writeFileSync(path, bytes);
    const fails = new Growth();
    fails.advance(500_000);
    const short = new Growth();
    short.advance(500_000);
    short.end(false);
    const failSoon = async () => {
      await sleep(50);
      fails.end(true);
    };
    const cases: [Promise<Outcome>, RegExp][] = [
      [unpack(path, bytes.length, fails, failSoon), /their source failed/],
      [unpack(path, bytes.length, short), /the gzip stream is damaged: it was cut off/],
      [
        unpack(path, bytes.length, undefined, undefined, `sha256:${"0".repeat(64)}`),
        /its diffID is sha256:.*expected sha256:000/,
      ],
    ];
    for (const [outcome, message] of cases) {
      const { records, result } = await outcome;
      assert.is(result.status, "rejected");
      assert.match((result as PromiseRejectedResult).reason.message, message);
      assert.not(endsComplete(records));
    }
  });
});

/** A stream that was cut off may end in the middle of a record. */
function endsComplete(records: Buffer): boolean {
  try {
    return parseRecords(records).ended;
  } catch {
    return false;
  }
}

test("a worker ends with its pipe's reader, and takes the next job", async () => {
  await withDirectory(async (folder) => {
    const path = join(folder, "layer");
    const bytes = gzipSync(LAYER);
    writeFileSync(path, bytes);
    const worker = new UnpackWorker();
    try {
      for (let round = 0; round < 2; round++) {
        const [read, write] = makePipe();
        const fd = openSync(path, "r");
        const job = worker.unpack({ fd, size: bytes.length, sink: write, diffID: DIFF_ID });
        closeFd(read);
        const [result] = await Promise.allSettled([job]);
        assert.is(result.status, "rejected");
        assert.is((result as PromiseRejectedResult).reason.code, "EPIPE");
        closeFd(write);
        closeSync(fd);
      }
    } finally {
      await worker.close();
    }
  });
});

test("a worker can be ended while it works", async () => {
  await withDirectory(async (folder) => {
    const path = join(folder, "layer");
    const bytes = gzipSync(archive(entry({ name: "zeros" }, Buffer.alloc(200_000_000))));
    writeFileSync(path, bytes);
    const [read, write] = makePipe();
    const fd = openSync(path, "r");
    const records = createReadStream("", { fd: read });
    const worker = new UnpackWorker();
    const job = worker.unpack({ fd, size: bytes.length, sink: write, diffID: DIFF_ID });
    records.once("data", () => void worker.close());
    const [result] = await Promise.allSettled([job]);
    assert.match(String((result as PromiseRejectedResult).reason), /the unpacking thread ended/);
    records.destroy();
    closeFd(write);
    closeSync(fd);
  });
});

test.run();
