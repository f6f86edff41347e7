#!/usr/bin/env -S node --
"use strict";
// "--" above: Node 20 would take --env-file for its own wherever it stands, and end before this line.
// Runs hot.cjs, and main.cjs once something in there is asked for (split.ts tells which is where), as `require` would, but
// gives V8 what it compiled when the package was built. V8 refuses a cache of another version, other flags or another
// source, and compiles as usual.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { Script } = require("node:vm");

function run(name, exports, partner) {
  const filename = join(__dirname, `${name}.cjs`);
  // The bundle is ASCII: decoding it as such copies bytes, and V8 keeps one byte a character.
  const source = readFileSync(filename, "latin1");
  let cachedData;
  try {
    cachedData = readFileSync(join(__dirname, `${name}.cache`));
  } catch {
    // Not there: slower, nothing else.
  }
  const script = new Script(source, { filename, cachedData });
  script.runInThisContext()(exports, require, module, filename, __dirname, partner);
  return exports;
}

const hot = {};
let main;
run("hot", hot, (path) => {
  main ??= run("main", {}, hot);
  return main.modules[path]();
});
