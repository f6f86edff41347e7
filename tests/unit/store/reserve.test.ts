/** Room that is kept for a full disk. */
import { mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { diskFault, isFull } from "../../../runner/base/disk-fault.ts";
import { storeLayout } from "../../../runner/store/layout.ts";
import { keepReserve, spendReserve } from "../../../runner/store/reserve.ts";
import { withDirectory } from "../layers/archives.ts";

test("the reserve is kept once there is a folder for it, and is spent once", () =>
  withDirectory((root) => {
    const layout = storeLayout(root);
    keepReserve(layout);
    assert.not.ok(spendReserve(layout));
    mkdirSync(join(root, "locks"));
    keepReserve(layout);
    keepReserve(layout);
    assert.is(statSync(join(root, "locks/reserve")).size, 1 << 20);
    assert.ok(spendReserve(layout));
    assert.not.ok(spendReserve(layout));
  }));

test("a full disk and a quota that is used up are full, a read-only one is not", () => {
  const error = (code: string) => Object.assign(new Error(code), { code });
  assert.ok(isFull(error("ENOSPC")));
  assert.ok(isFull(error("EDQUOT")));
  assert.not.ok(isFull(error("EROFS")));
  assert.is(diskFault(error("EROFS"))?.state, "the file system is read-only");
  assert.is(diskFault(new Error("x")), undefined);
});

test.run();
