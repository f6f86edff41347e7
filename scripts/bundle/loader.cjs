"use strict";
// What the launcher has Node run. Runs hot.cjs, which asks for the other files when it needs them (split.ts tells what is where), as `require` would, but
// gives V8 what it compiled when the package was built. V8 refuses a cache of another version, other flags or another
// source, and compiles as usual.
const { readFileSync } = require("node:fs");
const { Script } = require("node:vm");

const loaded = {};

function load(name) {
  const filename = `${__dirname}/${name}.cjs`;
  // The bundle is ASCII: decoding it as such copies bytes, and V8 keeps one byte a character.
  const source = readFileSync(filename, "latin1");
  let cachedData;
  try {
    cachedData = readFileSync(`${__dirname}/${name}.cache`);
  } catch {
    // Not there: slower, nothing else.
  }
  const exports = {};
  loaded[name] = exports;
  const script = new Script(source, { filename, cachedData });
  script.runInThisContext()(exports, require, filename, __dirname, modules);
  return exports;
}

function modules(name) {
  return (loaded[name] ?? load(name)).modules;
}

load("hot");
