#!/usr/bin/env -S node --
"use strict";
// "--" above: Node 20 would take --env-file for its own wherever it stands, and end before this line.
// Runs main.cjs as `require` would, but gives V8 what it compiled when the package was built. V8
// refuses a cache of another version, other flags or another source, and compiles as usual.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { Script } = require("node:vm");

const filename = join(__dirname, "main.cjs");
// The bundle is ASCII: decoding it as such copies bytes, and V8 keeps one byte a character.
const source = readFileSync(filename, "latin1");
let cachedData;
try {
  cachedData = readFileSync(join(__dirname, "main.cache"));
} catch {
  // Not there: slower, nothing else.
}
const wrapper = `(function (exports, require, module, __filename, __dirname) {${source}\n})`;
const script = new Script(wrapper, { filename, cachedData });
script.runInThisContext()(exports, require, module, filename, __dirname);
