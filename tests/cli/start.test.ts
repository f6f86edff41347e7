/** What a start costs is what is loaded: asserted here by name, measured by `make bench`. */
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ROOT, TSBOX, workspace } from "../support/tsbox.ts";

test("run loads nothing that it does not need", async () => {
  await using box = workspace();
  const spy = join(box.dir, "spy.cjs");
  writeFileSync(spy, 'process.on("exit", () => require("fs").writeSync(2, process.moduleLoadList.join("\\n")));');
  const args = ["--require", spy, TSBOX, "run", "--print-plan", "--rm", "host", "true"];
  const { code, stderr } = await box.program(process.execPath, args);
  assert.is(code, 0, stderr);
  for (const name of ["http", "https", "tls", "zlib", "worker_threads", "wasi"])
    assert.not(stderr.split("\n").includes(`NativeModule ${name}`), `node:${name} was loaded`);
});

test("V8 takes the code cache that was made at build time", async () => {
  await using box = workspace();
  assert.ok(existsSync(join(ROOT, "dist/main.cache")));
  const probe = `
    const { Script } = require("node:vm");
    const { readFileSync } = require("node:fs");
    const source = "(function (exports, require, module, __filename, __dirname) {" + readFileSync("main.cjs", "latin1") + "\\n})";
    console.log(new Script(source, { filename: "main.cjs", cachedData: readFileSync("main.cache") }).cachedDataRejected);`;
  const { stdout } = await box.program(process.execPath, ["-e", probe], { cwd: join(ROOT, "dist") });
  assert.is(stdout.trim(), "false");
});

test("a missing or damaged code cache changes nothing", async () => {
  await using box = workspace();
  const copy = join(box.dir, "dist");
  assert.is((await box.program("cp", ["-a", join(ROOT, "dist"), copy])).code, 0);
  assert.is((await box.program("ln", ["-s", join(ROOT, "node_modules"), join(box.dir, "node_modules")])).code, 0);
  for (const damage of ["rm main.cache", "echo junk > main.cache", ": > main.cache"]) {
    await box.program("sh", ["-c", damage], { cwd: copy });
    const { code, stdout, stderr } = await box.program(join(copy, "tsbox"), ["version"]);
    assert.is(code, 0, stderr);
    assert.match(stdout, /0\.1\.0/);
  }
});

test.run();
