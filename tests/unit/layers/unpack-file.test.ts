import { createHash, randomBytes } from "node:crypto";
import { closeSync, createReadStream, openSync, readSync, writeFileSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Growth } from "../../../runner/base/growth.ts";
import { RECORD_HEADER_SIZE, RecordFlag, RecordKind } from "../../../runner/layers/abi.ts";
import { unpackLayer } from "../../../runner/layers/unpack.ts";
import { UnpackWorker } from "../../../runner/layers/unpack-worker.ts";
import { closeFd, makePipe, makeSocketPair } from "../../../runner/sys/native.ts";
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

/** Where each number stands in a record and in what is told of a piece (wasm/abi.h). */
const LENGTH = 0;
const KIND = 4;
const FLAGS = 5;
const DATA = 48;
const PIECE = 8;

/** Until the other side has gone, which may not have taken everything that it was told. */
async function* untilReset(socket: Socket): AsyncGenerator<Buffer> {
  try {
    yield* socket;
  } catch (error) {
    // reading finds the one, writing the other
    if (!["ECONNRESET", "EPIPE"].includes((error as NodeJS.ErrnoException).code ?? "")) throw error;
  }
}

/** What the helper's apply does with memory that it has mapped: the stream with the contents put back, and the runner told what was used. */
async function putBack(socket: Socket, memory: number, pause: number): Promise<Buffer> {
  const made: Buffer[] = [];
  let bytes = Buffer.alloc(0);
  let left = 0; // of a content
  let used = 0n;
  for await (const more of untilReset(socket)) {
    bytes = Buffer.concat([bytes, more]);
    for (let at = 0; ; bytes = bytes.subarray(at), at = 0) {
      if (left > 0) {
        if (bytes.length < PIECE) break;
        const [offset, length] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4)];
        const content = Buffer.alloc(length);
        if (pause > 0) await sleep(pause);
        assert.is(readSync(memory, content, 0, length, offset), length);
        made.push(content);
        left -= length;
        used += BigInt(length);
        at = PIECE;
        const word = Buffer.alloc(8);
        word.writeBigUInt64LE(used);
        socket.write(word);
      } else {
        if (bytes.length < RECORD_HEADER_SIZE || bytes.length < bytes.readUInt32LE(LENGTH)) break;
        at = bytes.readUInt32LE(LENGTH);
        const record = Buffer.from(bytes.subarray(0, at));
        left = Number(record.readBigUInt64LE(DATA));
        const flags = record[FLAGS] as number;
        assert.ok(left === 0 || flags & RecordFlag.LENT);
        record[FLAGS] = flags & ~RecordFlag.LENT;
        made.push(record);
        if (record[KIND] === RecordKind.END) return Buffer.concat(made);
      }
    }
  }
  return Buffer.concat([...made, bytes]);
}

interface Ways {
  growth?: Growth;
  /** May let the file grow. */
  meanwhile?: () => Promise<void>;
  diffID?: string;
  /** Contents stay in memory; and whoever takes them waits so many milliseconds before each. */
  mapped?: boolean;
  pause?: number;
}

/** Has a file unpacked into a pipe, or a socket. */
async function unpack(path: string, size: number, ways: Ways = {}): Promise<Outcome> {
  const { growth, meanwhile = async () => {}, diffID = DIFF_ID, mapped = false, pause = 0 } = ways;
  const worker = new UnpackWorker();
  const [read, write] = mapped ? makeSocketPair("stream") : makePipe();
  const fd = openSync(path, "r");
  const memory = worker.memory() as number;
  const records = mapped
    ? putBack(new Socket({ fd: read }), memory, pause)
    : buffer(createReadStream("", { fd: read }));
  try {
    const job = worker.unpack({ fd, size, sink: write, mapped, diffID, ...(growth && { growth: growth.shared }) });
    const [result] = await Promise.allSettled([job, meanwhile()]);
    // whoever is not done with what is lent goes on using it
    const whole = mapped && result.status === "fulfilled" ? await records : undefined;
    closeFd(write);
    return { records: whole ?? (await records), result };
  } finally {
    closeSync(fd);
    await worker.close();
  }
}

const BOTH = [false, true];

test("a worker makes of a file, compressed or not, the same records as unpackLayer()", async () => {
  await withDirectory(async (folder) => {
    const want = await expected();
    const value = { diffID: DIFF_ID, size: LAYER.length, entries: 503 };
    const zipped = [gzipSync(LAYER), gzipSync(LAYER, { level: 0 })];
    for (const { bytes, mapped } of [
      ...zipped.flatMap((bytes) => BOTH.map((mapped) => ({ bytes, mapped }))),
      { bytes: LAYER, mapped: false },
    ]) {
      const path = join(folder, "layer");
      writeFileSync(path, bytes);
      const { records, result } = await unpack(path, bytes.length, { mapped });
      assert.equal(result, { status: "fulfilled", value });
      assert.ok(want.equals(records), `mapped: ${mapped}`);
    }
  });
});

test("a worker waits for a file that grows", async () => {
  await withDirectory(async (folder) => {
    const path = join(folder, "layer");
    const bytes = gzipSync(LAYER);
    writeFileSync(path, "");
    for (const mapped of BOTH) {
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
      const { records, result } = await unpack(path, bytes.length, { growth, meanwhile: grow, mapped });
      assert.is(result.status, "fulfilled");
      assert.ok((await expected()).equals(records));
    }
  });
});

test("memory is used again only after what lies there was used, however slow that is", async () => {
  await withDirectory(async (folder) => {
    // several times what the memory holds
    const contents = Array.from({ length: 60 }, () => randomBytes(700_000));
    const layer = archive(...contents.map((content, i) => entry({ name: `f${i}` }, content)));
    const path = join(folder, "layer");
    const bytes = gzipSync(layer, { level: 1 });
    writeFileSync(path, bytes);
    const diffID = `sha256:${createHash("sha256").update(layer).digest("hex")}`;
    for (const pause of [0, 3]) {
      const { records, result } = await unpack(path, bytes.length, { mapped: true, pause, diffID });
      assert.equal(result, { status: "fulfilled", value: { diffID, size: layer.length, entries: 60 } });
      const { entries } = parseRecords(records);
      for (const [i, content] of contents.entries()) assert.ok(entries[i]?.content.equals(content), `f${i}`);
    }
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
    const diffID = `sha256:${"0".repeat(64)}`;
    const cases = BOTH.flatMap((mapped): [Ways, RegExp][] => [
      [{ growth: fails, meanwhile: failSoon, mapped }, /their source failed/],
      [{ growth: short, mapped }, mapped ? /the gzip stream is damaged: it was cut off/ : /Cannot decompress archive/],
      [{ diffID, mapped }, /its diffID is sha256:.*expected sha256:000/],
    ]);
    for (const [ways, message] of cases) {
      const { records, result } = await unpack(path, bytes.length, ways);
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
      assert.ok(worker.memory() !== undefined);
      for (const mapped of [false, true, false, true]) {
        const [read, write] = mapped ? makeSocketPair("stream") : makePipe();
        const fd = openSync(path, "r");
        closeFd(read);
        const job = worker.unpack({ fd, size: bytes.length, sink: write, mapped, diffID: DIFF_ID });
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
