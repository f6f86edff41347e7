/** scripts/stress in short: runs, some of which are killed, leave nothing behind. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { ROOT } from "../support/tsbox.ts";

const able = need(["user-namespace", "not-root"], test);

able("60 runs, 12 of them killed, leave no process, mount or file", async () => {
  const argv = ["--import", "tsx", "scripts/stress.ts", "60", "12"];
  const { stdout } = await promisify(execFile)(process.execPath, argv, { cwd: ROOT }).catch((error) => error);
  assert.match(stdout, /^60 runs in .*, 0 problems/m, stdout);
});

test.run();
