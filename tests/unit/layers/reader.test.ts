import { test } from "uvu";
import * as assert from "uvu/assert";
import { readEntries } from "../../../runner/layers/reader.ts";
import { archive, chunks, concat, entry, pax } from "./archives.ts";

const BYTES = archive(
  entry({ name: "first" }, "one"),
  entry({ name: "large" }, Buffer.alloc(100_000, "x")),
  pax({
    "GNU.sparse.major": "1",
    "GNU.sparse.minor": "0",
    "GNU.sparse.name": "sparse",
    "GNU.sparse.realsize": "200000",
  }),
  entry(
    { name: "made-up" },
    Buffer.concat([Buffer.from("2\n10\n3\n150000\n4\n".padEnd(512, "\0")), Buffer.from("abcdefg")]),
  ),
  entry({ name: "dir/", type: "5" }),
  entry({ name: "last" }, "end"),
);

test("readEntries() gives each entry with its content", async () => {
  for (const size of [100, 512, 1 << 20]) {
    const got: [string, number][] = [];
    for await (const { path, content } of readEntries(chunks(BYTES, size), { whiteouts: false })) {
      const bytes = await concat(content);
      got.push([path, bytes.length]);
      if (path === "first") assert.is(bytes.toString(), "one");
      if (path === "sparse") {
        const want = Buffer.alloc(200_000);
        want.write("abc", 10);
        want.write("defg", 150_000);
        assert.ok(want.equals(bytes));
      }
    }
    assert.equal(got, [
      ["first", 3],
      ["large", 100_000],
      ["sparse", 200_000],
      ["dir", 0],
      ["last", 3],
    ]);
  }
});

test("readEntries() skips the content that nobody reads, wholly or in part", async () => {
  for (const size of [100, 512, 1 << 20]) {
    for (const take of [0, 1]) {
      const paths: string[] = [];
      for await (const { path, content } of readEntries(chunks(BYTES, size), { whiteouts: false })) {
        paths.push(path);
        let taken = 0;
        if (take > 0) {
          for await (const piece of content) {
            assert.ok(piece.length > 0);
            if (++taken === take) break;
          }
        }
      }
      assert.equal(paths, ["first", "large", "sparse", "dir", "last"]);
    }
  }
});

test("readEntries() refuses to read content after the archive has gone on", async () => {
  const kept: AsyncIterable<Uint8Array>[] = [];
  for await (const { content } of readEntries(chunks(BYTES), { whiteouts: false })) kept.push(content);
  let message = "";
  try {
    await concat(kept[0] as AsyncIterable<Uint8Array>);
  } catch (error) {
    message = (error as Error).message;
  }
  assert.match(message, /after the next entry/);
});

test("readEntries() reads its source to the end, and gives it back when the reader stops early", async () => {
  let read = 0;
  let closed = false;
  const source = async function* () {
    try {
      for await (const chunk of chunks(Buffer.concat([BYTES, Buffer.alloc(10240)]), 512)) {
        read += chunk.length;
        yield chunk;
      }
    } finally {
      closed = true;
    }
  };
  for await (const { path } of readEntries(source(), { whiteouts: false })) assert.ok(path);
  assert.is(read, BYTES.length + 10240);
  read = 0;
  closed = false;
  for await (const { path } of readEntries(source(), { whiteouts: false })) {
    assert.is(path, "first");
    break;
  }
  assert.ok(closed);
  assert.ok(read < BYTES.length);
});

test("two archives can be read at the same time", async () => {
  const one = readEntries(chunks(BYTES, 100), { whiteouts: false });
  const two = readEntries(chunks(archive(entry({ name: "other" }, "content")), 100), { whiteouts: false });
  assert.is((await one.next()).value?.path, "first");
  const other = (await two.next()).value;
  assert.is(other?.path, "other");
  assert.is((await one.next()).value?.path, "large");
  assert.is((await concat(other?.content as AsyncIterable<Uint8Array>)).toString(), "content");
  assert.is((await one.next()).value?.path, "sparse");
});

test.run();
