import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openEngine } from "../../../runner/engine/engine.ts";
import { EVENTS_FD, startHelper } from "../../../runner/helper/client.ts";
import { KeptHelper } from "../../../runner/helper/kept.ts";
import { storePlan } from "../../../runner/plan/build.ts";
import type { Identity } from "../../../runner/plan/idmap.ts";
import { need } from "../../support/need.ts";

const able = need(["user-namespace", "not-root", "subids"], test);

async function withIdentity(use: (identity: Identity) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "tsbox-test-"));
  try {
    await use(openEngine({ root: join(dir, "store") }).identity());
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function plan(identity: Identity, ...argv: string[]) {
  const path = { op: "env" as const, variables: [`PATH=${process.env.PATH}`] };
  return storePlan(identity, [{ op: "private-mounts" }, path, { op: "exec", argv }], EVENTS_FD);
}

/** The process that started the helper's monitor: this one, or a helper that is kept. */
async function starter(identity: Identity): Promise<number> {
  const run = startHelper(plan(identity, "sh", "-c", 'set -- $(cat /proc/$PPID/stat); echo "$4"'), [
    "ignore",
    "pipe",
    "pipe",
  ]);
  const [said, result] = await Promise.all([text(run.stdout as Readable), run.done]);
  assert.is(result.code, 0, result.stderr);
  return Number(said);
}

able("plans of one id map go to one helper while it is kept", () =>
  withIdentity(async (identity) => {
    const kept = new KeptHelper(identity);
    assert.is(await starter(identity), process.pid);
    await kept.warm();
    const server = await starter(identity);
    assert.is.not(server, process.pid);
    assert.is(await starter(identity), server);
    await kept.close();
    assert.is(await starter(identity), process.pid);
    assert.throws(() => process.kill(server, 0), /ESRCH/);
  }),
);

able("it passes input, output and the status on", () =>
  withIdentity(async (identity) => {
    const kept = new KeptHelper(identity);
    await kept.warm();
    const run = startHelper(plan(identity, "sh", "-c", "wc -c; echo no >&2; exit 7"), ["pipe", "pipe", "pipe"]);
    run.stdin?.end(Buffer.alloc(3 << 20));
    const [said, result] = await Promise.all([text(run.stdout as Readable), run.done]);
    assert.is(said.trim(), String(3 << 20));
    assert.is(result.code, 7);
    assert.is(result.stderr, "no\n");
    await kept.close();
  }),
);

able("a plan is ended with all that it started, and the helper goes on", () =>
  withIdentity(async (identity) => {
    const kept = new KeptHelper(identity);
    await kept.warm();
    const run = startHelper(plan(identity, "sleep", "1000"), ["ignore", "ignore", "pipe"], (event) => {
      if (event.event === "exec") run.kill();
    });
    assert.is((await run.done).code, 137);
    assert.is.not(await starter(identity), process.pid);
    await kept.close();
  }),
);

able("closing it ends what still runs", () =>
  withIdentity(async (identity) => {
    const kept = new KeptHelper(identity);
    await kept.warm();
    let pid = 0;
    let tell = () => {};
    const runs = new Promise<void>((resolve) => {
      tell = resolve;
    });
    const run = startHelper(plan(identity, "sleep", "1000"), ["ignore", "ignore", "pipe"], (event) => {
      if (event.event !== "exec") return;
      ({ pid } = event);
      tell();
    });
    await runs;
    await kept.close();
    assert.is.not((await run.done).code, 0);
    assert.throws(() => process.kill(pid, 0), /ESRCH/);
  }),
);

able("where it cannot be had, each plan's own helper says why", () =>
  withIdentity(async (able) => {
    const identity: Identity = { ...able, mapTools: { uid: "/bin/false", gid: "/bin/false" } };
    const kept = new KeptHelper(identity);
    await kept.warm();
    const { code, events } = await startHelper(plan(identity, "true"), ["ignore", "ignore", "pipe"]).done;
    assert.is(code, 125);
    const failed = events.find((event) => event.event === "failed");
    assert.match(failed?.event === "failed" ? failed.message : "", /Cannot write the id map/);
    await kept.close();
  }),
);

test.run();
