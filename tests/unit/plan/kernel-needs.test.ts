import { test } from "uvu";
import * as assert from "uvu/assert";
import { isOlder, kernelShortcomings, needsKernel } from "../../../runner/plan/kernel-needs.ts";

test("isOlder() compares numbers, not letters, and takes no word for a version", () => {
  assert.ok(isOlder("5.4.0-150-generic", "5.11"));
  assert.ok(isOlder("4.19.0", "5.2"));
  assert.not.ok(isOlder("5.11.0", "5.11"));
  assert.not.ok(isOlder("6.1.0-13-amd64", "5.13"));
  assert.not.ok(isOlder("strange", "5.13"));
});

test("kernelShortcomings() says of an old kernel what is missing and what takes its place", () => {
  assert.equal(kernelShortcomings("6.18.1"), []);
  assert.equal(kernelShortcomings("5.10.0-28-amd64"), [
    "overlayfs for users who are not root came with Linux 5.11, this is 5.10.0-28-amd64: fuse-overlayfs or a copy of the image takes its place",
    "recursive read-only mounts came with Linux 5.12, this is 5.10.0-28-amd64: other file systems below a read-only mount stay writable",
    "Landlock came with Linux 5.13, this is 5.10.0-28-amd64: files are guarded by mounts alone",
    'overlayfs with changes in memory came with Linux 6.6, this is 5.10.0-28-amd64: "host" needs a store on a local disk',
  ]);
  assert.is(kernelShortcomings("5.4.0")[0], "containers need Linux 5.8, this is 5.4.0");
});

test("needsKernel() does not blame a kernel that is new enough", () => {
  assert.is(needsKernel("5.11", "5.4.0"), "needs Linux 5.11 or later, this is 5.4.0");
  assert.match(needsKernel("5.11", "6.1.0"), /^needs Linux 5\.11 or later, which this is \(6\.1\.0\)/);
});

test.run();
