/** The machine's own root as image: `run host`. */
import { existsSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { workspace } from "../support/tsbox.ts";
import { hostileFolder } from "./attack.ts";

const able = need(["user-namespace", "not-root"], test);
const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

able("a sandbox of the host cannot write to the host", async () => {
  const path = join(box.dir, "written");
  const { stdout } = await box.tsbox("run", "--rm", "host", "sh", "-c", `echo x > ${path}; cat ${path}`);
  assert.is(stdout, "x\n");
  assert.not.ok(existsSync(path));
});

able("a sandbox of the host cannot read what the user cannot", async () => {
  const { stdout, code } = await box.tsbox("run", "--rm", "host", "cat", "/etc/shadow");
  assert.is.not(code, 0);
  assert.is(stdout, "");
});

able("a sandbox of the host cannot talk to the host's sockets", async () => {
  const folder = hostileFolder(box);
  const path = join(box.dir, "s");
  const server = createServer().listen(path);
  await new Promise((resolve) => server.once("listening", resolve));
  try {
    const { stdout } = await box.tsbox("run", "--rm", "host", join(folder, "attack"), "unix", path);
    assert.match(stdout, /^socket E/);
  } finally {
    server.close();
  }
});

test.run();
