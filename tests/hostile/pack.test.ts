/** Trees that a container made to hurt whoever packs them. */
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Engine, openEngine } from "../../runner/engine/engine.ts";
import { packing, packLayer } from "../../runner/engine/pack-layer.ts";
import { removeTrees } from "../../runner/engine/remove-trees.ts";
import { RecordKind } from "../../runner/layers/abi.ts";
import { eachEntry } from "../../runner/layers/records.ts";
import { setXattr } from "../../runner/sys/native.ts";
import { need } from "../support/need.ts";
import { leftovers, storeProblems } from "../support/store.ts";
import { workspace } from "../support/tsbox.ts";

const able = need(["user-namespace", "not-root"], test);

async function packed(
  make: (upper: string) => void | Promise<void>,
  use: (engine: Engine, upper: string) => Promise<void>,
) {
  const dir = mkdtempSync(join(tmpdir(), "tsbox-test-"));
  const engine = openEngine({ root: join(dir, "store") });
  const upper = join(dir, "upper");
  mkdirSync(upper);
  try {
    await make(upper);
    await use(engine, upper);
    assert.equal(storeProblems(engine.root), []);
    assert.equal(leftovers(engine.root), []);
  } finally {
    await removeTrees(engine, [dir], engine.identity());
    rmSync(dir, { recursive: true, force: true });
  }
}

async function names(engine: Engine, upper: string): Promise<string[]> {
  const found: string[] = [];
  const op = { op: "pack" as const, root: upper, init: "", flags: ["names"], lowers: [] };
  await packing(engine.identity(), [op], undefined, (records) =>
    eachEntry(records, ({ path, kind }) => found.push(`${kind} ${path}`)),
  );
  return found;
}

async function refusal(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return (error as Error).message;
  }
  throw new Error("nothing was refused");
}

able("links are told as links, never followed", () =>
  packed(
    (upper) => {
      symlinkSync("/etc", join(upper, "etc"));
      symlinkSync("..", join(upper, "up"));
    },
    async (engine, upper) =>
      assert.equal(await names(engine, upper), [`${RecordKind.SYMLINK} etc`, `${RecordKind.SYMLINK} up`]),
  ),
);

able("a socket stays out, and the tree is then not the layer", () =>
  packed(
    async (upper) => {
      writeFileSync(join(upper, "file"), "");
      const server = createServer();
      await new Promise<void>((listening) => server.listen(join(upper, "sock"), listening));
      server.unref();
    },
    async (engine, upper) => {
      assert.equal(await names(engine, upper), [`${RecordKind.FILE} file`]);
      const layer = await packLayer(engine, { upper, lowers: [], identity: engine.identity() });
      assert.is(layer.exact, false);
    },
  ),
);

able("a path longer than any path can be is refused by name", () =>
  packed(
    (upper) => {
      const before = process.cwd();
      process.chdir(upper);
      for (let depth = 0; depth < 50; depth++) {
        mkdirSync("d".repeat(200));
        process.chdir("d".repeat(200));
      }
      process.chdir(before);
    },
    async (engine, upper) => {
      const told = await refusal(packLayer(engine, { upper, lowers: [], identity: engine.identity() }));
      assert.match(told, /Cannot pack what is in the directory/);
      assert.match(told, /too long/i);
    },
  ),
);

able("thousands of directories inside each other are no trouble", () =>
  packed(
    (upper) => {
      const before = process.cwd();
      process.chdir(upper);
      for (let depth = 0; depth < 2000; depth++) {
        mkdirSync("d");
        process.chdir("d");
      }
      process.chdir(before);
    },
    async (engine, upper) => assert.is((await names(engine, upper)).length, 2000),
  ),
);

able("a name that means a removed file is refused", () =>
  packed(
    (upper) => writeFileSync(join(upper, ".wh.etc"), ""),
    async (engine, upper) => {
      const told = await refusal(packLayer(engine, { upper, lowers: [], identity: engine.identity() }));
      assert.match(told, /"\.wh\.etc"/);
    },
  ),
);

able("overlay's own attributes do not get into a layer", () =>
  packed(
    (upper) => {
      mkdirSync(join(upper, "d"));
      setXattr(join(upper, "d"), "user.overlay.redirect", Buffer.from("/etc"));
    },
    async (engine, upper) => {
      const told = await refusal(packLayer(engine, { upper, lowers: [], identity: engine.identity() }));
      assert.match(told, /redirect/);
    },
  ),
);

able("a file that shrinks while it is packed ends it with a reason; one that grows is cut", () =>
  packed(
    (upper) => {
      writeFileSync(join(upper, "file"), "");
      truncateSync(join(upper, "file"), 0);
    },
    async (engine, upper) => {
      const path = join(upper, "file");
      let told = "";
      for (let round = 0; round < 20 && told === ""; round++) {
        writeFileSync(path, Buffer.alloc(30 << 20, 1));
        const work = packLayer(engine, { upper, lowers: [], identity: engine.identity() });
        // somewhere in between
        await sleep(5 * round);
        truncateSync(path, 1000);
        told = await work.then(
          () => "",
          (error) => error.message,
        );
      }
      if (told !== "") assert.match(told, /"?.*file.*became shorter/);
    },
  ),
);

able("an interrupted commit leaves nothing", async () => {
  await using box = workspace();
  const made = await box.tsbox("run", "--name", "made", "base", "sh", "-c", "head -c 200000000 /dev/urandom >/big");
  assert.is(made.code, 0, made.stderr);
  const child = box.start(["commit", "made", "mine:1"], { stdio: "ignore" });
  await sleep(400);
  child.kill("SIGINT");
  await new Promise((ended) => child.once("exit", ended));
  const store = box.env.TSBOX_ROOT as string;
  assert.equal(leftovers(store), []);
  assert.equal(storeProblems(store), []);
  assert.is((await box.tsbox("commit", "made", "mine:1")).code, 0);
});

test.run();
