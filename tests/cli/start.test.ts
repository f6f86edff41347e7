/** What a start costs is what is loaded: asserted here by name, measured by `make bench`. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ROOT, TSBOX, workspace } from "../support/tsbox.ts";

test("run loads nothing that it does not need", async () => {
  await using box = workspace();
  const spy = join(box.dir, "spy.cjs");
  writeFileSync(spy, 'process.on("exit", () => require("fs").writeSync(2, process.moduleLoadList.join("\\n")));');
  const args = ["--require", spy, `${TSBOX}.cjs`, "run", "--print-plan", "--rm", "host", "true"];
  const { code, stderr } = await box.program(process.execPath, args);
  assert.is(code, 0, stderr);
  for (const name of ["http", "https", "tls", "zlib", "worker_threads", "wasi"])
    assert.not(stderr.split("\n").includes(`NativeModule ${name}`), `node:${name} was loaded`);
});

test("exec and ps load nothing of Node that only other verbs need", async () => {
  await using box = workspace();
  const spy = join(box.dir, "spy.cjs");
  writeFileSync(spy, 'process.on("exit", () => require("fs").writeSync(2, process.moduleLoadList.join("\\n")));');
  for (const words of ["exec nobody true", "ps -q"]) {
    // into files: Node takes node:net for a pipe
    const command = `"$0" --require "$1" "$2" ${words} > out 2> loaded`;
    await box.program("sh", ["-c", command, process.execPath, spy, `${TSBOX}.cjs`], { cwd: box.dir });
    const loaded = readFileSync(join(box.dir, "loaded"), "utf8").split("\n");
    assert.ok(loaded.includes("NativeModule fs"), words);
    for (const name of ["net", "os", "module", "child_process", "crypto"])
      assert.not(loaded.includes(`NativeModule ${name}`), `${words}: node:${name} was loaded`);
  }
});

test("V8 takes the code caches that were made at build time", async () => {
  await using box = workspace();
  for (const name of ["hot", "run", "ps", "diff", "pull", "main"]) {
    assert.ok(existsSync(join(ROOT, `dist/${name}.cache`)));
    const probe = `
      const { Script } = require("node:vm");
      const { readFileSync } = require("node:fs");
      const source = readFileSync("${name}.cjs", "latin1");
      console.log(new Script(source, { filename: "${name}.cjs", cachedData: readFileSync("${name}.cache") }).cachedDataRejected);`;
    const { stdout } = await box.program(process.execPath, ["-e", probe], { cwd: join(ROOT, "dist") });
    assert.is(stdout.trim(), "false", name);
  }
});

test("a missing or damaged code cache changes nothing", async () => {
  await using box = workspace();
  const copy = join(box.dir, "dist");
  assert.is((await box.program("cp", ["-a", join(ROOT, "dist"), copy])).code, 0);
  assert.is((await box.program("ln", ["-s", join(ROOT, "node_modules"), join(box.dir, "node_modules")])).code, 0);
  for (const file of ["hot.cache", "main.cache"]) {
    for (const damage of [`rm ${file}`, `echo junk > ${file}`, `: > ${file}`]) {
      await box.program("sh", ["-c", damage], { cwd: copy });
      // this verb is in main.cjs
      const { code, stdout, stderr } = await box.program(join(copy, "tsbox"), ["version"]);
      assert.is(code, 0, stderr);
      assert.match(stdout, /0\.1\.0/);
    }
  }
});

test("an error of hot.cjs is the same to main.cjs", async () => {
  await using box = workspace();
  // thrown by the store's code, told apart and printed by code that is loaded for it
  const { code, stderr } = await box.program(TSBOX, ["exec", "nobody", "true"]);
  assert.is(code, 1);
  assert.match(stderr, /Cannot find container "nobody": no name or id matches\nhint: /);
});

test.run();
