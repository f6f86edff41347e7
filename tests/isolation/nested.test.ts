/** tsbox inside tsbox: it runs where the outer container lets it, and says what is in the way where not. */
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { ROOT, workspace } from "../support/tsbox.ts";

const able = need(["user-namespace", "not-root", "subids"], test);
const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

const inner = `TSBOX_ROOT=/inner/store ${join(ROOT, "dist/tsbox")}`;
const nested = (script: string, ...flags: string[]) =>
  box.tsbox("run", "--rm", "--tmpfs", "/inner", ...flags, "host", "sh", "-c", script);

able("a container runs in a privileged container", async () => {
  const { code, stdout, stderr } = await nested(`${inner} run --rm -u 5 base id -u`, "--privileged");
  assert.is(code, 0, stderr);
  assert.is(stdout, "5\n");
});

able("a container runs where only the filter and the masks are off", async () => {
  const flags = ["--security-opt", "seccomp=unconfined", "--security-opt", "systempaths=unconfined"];
  const { code, stdout, stderr } = await nested(
    `${inner} run --rm base cat /proc/1/comm; ${inner} run --rm base true`,
    ...flags,
  );
  assert.is(code, 0, stderr);
  assert.is(stdout, "cat\n");
});

able("the limit of processes holds for what is nested", async () => {
  const { stdout, stderr } = await nested(
    `${inner} run --rm base sh -c 'for i in 1 2 3 4 5 6 7 8 9; do sleep 5 & done; echo done'`,
    "--privileged",
    "--pids-limit",
    "12",
  );
  assert.not.match(stdout, /done/);
  assert.match(stderr, /Resource temporarily unavailable|EAGAIN|fork/);
});

able("the outer container's filter and its masks are told as what is in the way", async () => {
  const filtered = await nested(`${inner} run --rm base true`);
  assert.is(filtered.code, 125);
  assert.match(filtered.stderr, /seccomp=unconfined/);
  const masked = await nested(`${inner} run --rm base true`, "--security-opt", "seccomp=unconfined");
  assert.is(masked.code, 125);
  assert.match(masked.stderr, /unmask=ALL/);
});

test.run();
