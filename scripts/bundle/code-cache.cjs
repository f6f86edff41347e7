/**
 * usage: code-cache DIST: what V8 compiles of the files of the command line in DIST, for loader.cjs beside this file.
 *
 * V8 compiles a function when it is first called. So the program runs before the cache is taken, else the cache would hold the outline only: what
 * is started most, up to where it would become the helper. The store in TSBOX_ROOT may have a container "warm", which is said to run.
 */
"use strict";
const { existsSync, readFileSync, writeFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join, resolve } = require("node:path");
const { Script } = require("node:vm");
const { warmRegistry } = require("./warm-registry.cjs");

const dist = resolve(process.argv[2]);
const scripts = {};
for (const name of ["hot", "run", "ps", "diff", "pull", "main"]) {
  const filename = join(dist, `${name}.cjs`);
  scripts[name] = new Script(readFileSync(filename, "latin1"), { filename });
}

const commands = [
  ["run", "--print-plan", "--rm", "host", "true"],
  ["run", "--rm", "host", "true"],
  ["run", "--rm", "base", "true"],
  ["run", "-d", "--name", "other", "base", "true"],
  ["exec", "warm", "true"],
  ["ps"],
  ["diff", "warm"],
];

process.stdout.write = () => true;
process.stderr.write = () => true;
const { dlopen, exit } = process;
process.dlopen = (module_, path) => {
  dlopen.call(process, module_, path);
  module_.exports = {
    ...module_.exports,
    replace() {
      throw new Error("the end of what Node does");
    },
  };
};

// every command has modules of its own, and the functions of all are one in V8
function next() {
  const command = commands.shift();
  if (command === undefined) {
    for (const [name, script] of Object.entries(scripts))
      writeFileSync(join(dist, `${name}.cache`), script.createCachedData());
    exit.call(process, 0);
  }
  for (const name of ["SIGINT", "SIGTERM", "uncaughtException", "unhandledRejection"]) process.removeAllListeners(name);
  process.argv = [process.argv[0], join(dist, "tsbox.cjs"), ...command];
  const loaded = {};
  const load = (name) => {
    const filename = join(dist, `${name}.cjs`);
    const exports = {};
    loaded[name] = exports;
    scripts[name].runInThisContext()(exports, createRequire(filename), filename, dist, modules);
    return exports;
  };
  const modules = (name) => (loaded[name] ?? load(name)).modules;
  load("hot");
}

process.exit = () => {
  setImmediate(next);
};
const layer = join(dist, "base.tar");
if (existsSync(layer)) {
  warmRegistry(readFileSync(layer)).then((address) => {
    commands.push(["pull", "-q", `${address}/warm`]);
    next();
  });
} else next();
