/**
 * usage: code-cache MAIN.cjs OUT: what V8 compiles of MAIN.cjs, for the launcher beside this file.
 *
 * V8 compiles a function when it is first called. So the program runs before the cache is taken, else the cache would hold the outline only: what
 * is started most, up to where it would become the helper. The store in TSBOX_ROOT may have a container "warm", which is said to run.
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

const commands = [
  ["run", "--print-plan", "--rm", "host", "true"],
  ["run", "--rm", "host", "true"],
  ["run", "--rm", "base", "true"],
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
    writeFileSync(target, script.createCachedData());
    exit.call(process, 0);
  }
  for (const name of ["SIGINT", "SIGTERM", "uncaughtException", "unhandledRejection"]) process.removeAllListeners(name);
  process.argv = [process.argv[0], filename, ...command];
  const module_ = { exports: {} };
  script.runInThisContext()(module_.exports, createRequire(filename), module_, filename, dirname(filename));
}
process.exit = () => {
  setImmediate(next);
};
next();
