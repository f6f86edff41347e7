/** Long verbs that are told to stop: they do at once, wherever they are, with the signal's exit status, and nothing is left. */
import type { ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { ociParts, tarOf } from "../support/oci.ts";
import { leftovers, orphans, storeProblems } from "../support/store.ts";
import { type Workspace, workspace } from "../support/tsbox.ts";

const able = need(["user-namespace", "not-root"], test);

type Signal = "SIGHUP" | "SIGINT" | "SIGTERM";

/** Its exit status, once it was sent the signal at the first sign of being at work. */
async function interrupted(child: ChildProcess, signal: Signal, isAtWork: () => boolean): Promise<number> {
  const ended = new Promise<number>((resolve) =>
    child.on("close", (code, by) => resolve(code ?? 128 + (by ? constants.signals[by] : 0))),
  );
  child.stdout?.resume();
  while (!isAtWork() && child.exitCode === null) await sleep(2);
  child.kill(signal);
  return ended;
}

function nothingLeft(box: Workspace): void {
  const store = box.env.TSBOX_ROOT as string;
  assert.equal(leftovers(store), []);
  assert.equal(storeProblems(store), []);
  assert.equal(orphans(store), []);
}

const staged = (box: Workspace, name: RegExp) => {
  const tmp = join(box.env.TSBOX_ROOT as string, "tmp");
  return existsSync(tmp) && readdirSync(tmp).some((entry) => name.test(entry));
};

/** One layer that takes a while to unpack. */
function large(): Buffer {
  const files = Array.from({ length: 30_000 }, (_, i): [string, Buffer] => [`f${i}`, Buffer.from(`${i}`)]);
  return tarOf([["noise", randomBytes(4 << 20)], ...files]);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  able(`load, while a layer is unpacked: ${signal}`, async () => {
    await using box = workspace();
    const path = join(box.dir, "image.tar");
    writeFileSync(path, tarOf(ociParts([large()], "large:1").files));
    const child = box.start(["load", "-i", path]);
    let told = "";
    child.stderr?.on("data", (text) => {
      told += text;
    });
    const code = await interrupted(child, signal, () => /extracting/.test(told));
    assert.is(code, 128 + constants.signals[signal]);
    nothingLeft(box);
    assert.is((await box.tsbox("images", "-q")).stdout, "");
  });
}

for (const verb of [["load"], ["import", "-"], ["build", "-"]]) {
  able(`${verb.join(" ")} that waits for standard input`, async () => {
    await using box = workspace();
    const child = box.start(verb);
    // enough to be taken for the beginning of an archive
    child.stdin?.write(large().subarray(0, 100_000));
    child.stdin?.on("error", () => {});
    const code = await interrupted(child, "SIGINT", () => staged(box, /^stage-/));
    child.stdin?.destroy();
    assert.is(code, 130);
    nothingLeft(box);
  });
}

able("build, while a layer is made", async () => {
  await using box = workspace();
  const context = join(box.dir, "context");
  mkdirSync(context);
  writeFileSync(join(context, "Dockerfile"), "FROM scratch\nCOPY . /\n");
  writeFileSync(join(context, "zeros"), Buffer.alloc(300 << 20));
  const child = box.start(["build", "-q", context]);
  assert.is(await interrupted(child, "SIGINT", () => staged(box, /^stage-/)), 130);
  nothingLeft(box);
});

for (const format of ["oci-dir", "docker-dir"]) {
  able(`save --format ${format}`, async () => {
    await using box = workspace();
    const root = join(box.dir, "root.tar");
    writeFileSync(root, tarOf([["noise", randomBytes(150 << 20)]]));
    assert.is((await box.tsbox("import", root, "large")).code, 0);
    const parts = () => readdirSync(box.dir).filter((name) => name.startsWith("out"));
    let code = 0;
    // it may have ended before the signal came: then once more
    for (let attempt = 0; attempt < 5 && (code === 0 || parts().includes("out")); attempt++) {
      rmSync(join(box.dir, "out"), { recursive: true, force: true });
      const child = box.start(["save", "--format", format, "-o", join(box.dir, "out"), "large"]);
      code = await interrupted(child, "SIGHUP", () => parts().length > 0);
    }
    assert.is(code, 129);
    assert.equal(parts(), []);
  });
}

test.run();
