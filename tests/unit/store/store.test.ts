import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { digestOf } from "../../../runner/oci/digest-of.ts";
import type { Descriptor } from "../../../runner/oci/types.ts";
import { BlobMismatch, putBlob, putBlobStream } from "../../../runner/store/blob-store.ts";
import { hasBlob, readBlob } from "../../../runner/store/blobs.ts";
import { changeIndex, readIndex, refName, withName } from "../../../runner/store/image-index.ts";
import { openInbox } from "../../../runner/store/inbox.ts";
import { makeStore, type StoreLayout, storeLayout } from "../../../runner/store/layout.ts";
import { garbage, stagingFile, stagingFolder } from "../../../runner/store/staging.ts";

async function withStore(use: (layout: StoreLayout) => void | Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "tsbox-store-"));
  const layout = storeLayout(dir);
  makeStore(layout);
  try {
    await use(layout);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function* source(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text);
}

const image = (text: string): Descriptor => ({
  mediaType: "application/vnd.oci.image.manifest.v1+json",
  digest: digestOf(text),
  size: text.length,
});

test("putBlob() keeps bytes under their digest", () =>
  withStore((layout) => {
    const { digest, size } = putBlob(layout, Buffer.from("text"));
    assert.is(digest, digestOf("text"));
    assert.is(size, 4);
    assert.is(readBlob(layout, digest).toString(), "text");
    assert.equal(garbage(layout), []);
  }));

test("putBlobStream() keeps a stream, and nothing of one that is not what was expected", () =>
  withStore(async (layout) => {
    const { digest, head } = await putBlobStream(layout, source("te", "xt"));
    assert.is(digest, digestOf("text"));
    assert.is(head.toString(), "text");
    try {
      await putBlobStream(layout, source("other"), digestOf("expected"));
      assert.unreachable();
    } catch (error) {
      assert.instance(error, BlobMismatch);
    }
    assert.not.ok(hasBlob(layout, digestOf("other")));
    assert.equal(readdirSync(layout.tmp), []);
  }));

test("readBlob() of what is not there says what to do", () =>
  withStore((layout) => {
    assert.throws(() => readBlob(layout, digestOf("none")), /Cannot read blob sha256:.*: it is not in the store/);
  }));

test("an inbox shows its blobs and the store's, and gives the store only what is adopted", () =>
  withStore(async (layout) => {
    const old = putBlob(layout, Buffer.from("old")).digest;
    const inbox = openInbox(layout);
    const [wanted, rest] = ["wanted", "rest"].map((text) => putBlob(inbox.layout, Buffer.from(text)).digest);
    if (!wanted || !rest) throw new Error("no digests");
    assert.ok(hasBlob(inbox.layout, old));
    assert.ok(hasBlob(inbox.layout, rest));
    assert.not.ok(hasBlob(layout, wanted));
    await inbox.adopt([wanted, old]);
    inbox.release();
    assert.ok(hasBlob(layout, wanted) && hasBlob(layout, old));
    assert.not.ok(hasBlob(layout, rest));
    assert.equal(readdirSync(layout.tmp), []);
  }));

test("withName() moves a name, and leaves the image that had it without one", () => {
  const [first, second] = [image("first"), image("second")];
  const named = withName(withName([], "example.org/a:1", first), "example.org/a:1", second);
  assert.equal(named.map(refName), [undefined, "example.org/a:1"]);
  assert.is(named[0]?.digest, first.digest);
  const both = withName(withName([], "example.org/a:1", first), "example.org/b:1", first);
  const moved = withName(both, "example.org/a:1", second);
  assert.equal(moved.map(refName), ["example.org/b:1", "example.org/a:1"]);
  assert.is(withName(both, "example.org/b:1", first).length, 2);
});

test("changeIndex() by several at a time loses nothing", () =>
  withStore(async (layout) => {
    const names = Array.from({ length: 10 }, (_, i) => `example.org/a:${i}`);
    await Promise.all(names.map((name) => changeIndex(layout, (all) => withName(all, name, image(name)))));
    assert.equal(readIndex(layout).map(refName).sort(), names);
    assert.is(JSON.parse(readFileSync(join(layout.oci, "oci-layout"), "utf8")).imageLayoutVersion, "1.0.0");
  }));

test("what is being made is no garbage, what was left is", () =>
  withStore((layout) => {
    const held = stagingFolder(layout);
    assert.equal(garbage(layout), []);
    held.release();
    assert.equal(garbage(layout), [held.path]);
    const file = stagingFile(layout);
    file.release();
    assert.not.ok(existsSync(file.path));
  }));

test.run();
