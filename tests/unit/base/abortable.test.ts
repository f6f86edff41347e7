import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { abortable } from "../../../runner/base/abortable.ts";

async function* numbers(count: number) {
  for (let i = 0; i < count; i++) yield i;
}

async function all<T>(source: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of source) items.push(item);
  return items;
}

async function reason(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => assert.unreachable("it came to its end"),
    (error: unknown) => error,
  );
}

test("without a signal, or before it, the source is as it was", async () => {
  assert.equal(await all(abortable(numbers(3))), [0, 1, 2]);
  assert.equal(await all(abortable(numbers(3), new AbortController().signal)), [0, 1, 2]);
});

test("a source that fails fails so", async () => {
  async function* failing() {
    yield 1;
    throw new Error("broken");
  }
  assert.is(((await reason(all(abortable(failing(), new AbortController().signal)))) as Error).message, "broken");
});

test("a signal ends it before it begins, between two items, and while it waits for one", async () => {
  assert.is(await reason(all(abortable(numbers(3), AbortSignal.abort("early")))), "early");
  const between = new AbortController();
  const taken: number[] = [];
  const take = async () => {
    for await (const item of abortable(numbers(3), between.signal)) {
      taken.push(item);
      between.abort("between");
    }
  };
  assert.is(await reason(take()), "between");
  assert.equal(taken, [0]);
  const waiting = new AbortController();
  async function* silent() {
    yield 1;
    setImmediate(() => waiting.abort("waiting"));
    await new Promise(() => {});
  }
  assert.is(await reason(all(abortable(silent(), waiting.signal))), "waiting");
});

test("an item that was taken is let go", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  async function* buffers() {
    for (let i = 0; i < 64; i++) yield Buffer.alloc(1 << 20, 1);
  }
  let most = 0;
  for await (const _ of abortable(buffers(), new AbortController().signal)) {
    collect();
    most = Math.max(most, process.memoryUsage().arrayBuffers);
  }
  assert.ok(most < 16 << 20, `${most} bytes were held`);
});

test.run();
