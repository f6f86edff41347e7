/**
 * usage: code-cache MAIN.cjs OUT: what V8 compiles of MAIN.cjs, for the launcher beside this file.
 *
 * V8 compiles a function when it is first called. So the program runs before the cache is taken,
 * up to the plan of a `run`, else the cache would hold the outline only.
 */
"use strict";
const { readFileSync, writeFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { dirname, resolve } = require("node:path");
const { Script } = require("node:vm");

const filename = resolve(process.argv[2]);
const target = resolve(process.argv[3]);
const wrapper = `(function (exports, require, module, __filename, __dirname) {${readFileSync(filename, "latin1")}\n})`;
const script = new Script(wrapper, { filename });

process.argv = [process.argv[0], filename, "run", "--print-plan", "--rm", "host", "true"];
process.stdout.write = () => true;
process.stderr.write = () => true;
process.on("exit", () => {
  writeFileSync(target, script.createCachedData());
  process.exitCode = 0;
});
const module_ = { exports: {} };
script.runInThisContext()(module_.exports, createRequire(filename), module_, filename, dirname(filename));
