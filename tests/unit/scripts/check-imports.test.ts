import { test } from "uvu";
import * as assert from "uvu/assert";
import { importProblems, importsOf } from "../../../scripts/checks/imports.ts";

function problems(files: Record<string, string>): string[] {
  return importProblems(new Map(Object.entries(files)));
}

test("importsOf() finds static, dynamic, type-only and multi-line imports", () => {
  const text = [
    'import "./a.ts";',
    "import {",
    "  one,",
    "  two,",
    '} from "./b.ts";',
    'import type { Three } from "./c.ts";',
    'export * from "./d.ts";',
    'const four = await import("./e.ts");',
    'type Five = import("./f.ts").Five;',
  ].join("\n");
  const found = importsOf(text).map(({ specifier, typeOnly }) => `${specifier}${typeOnly ? " type" : ""}`);
  assert.equal(found, ["./a.ts", "./b.ts", "./c.ts type", "./d.ts", "./e.ts", "./f.ts type"]);
});

test("importProblems() accepts imports that point down", () => {
  const files = {
    "runner/base/error.ts": "export class E {}",
    "runner/engine/run.ts": 'import { E } from "../base/error.ts";\nexport const run = () => new E();',
    "runner/main.ts": 'import { run } from "./engine/run.ts";\nrun();\nprocess.exit(0);',
  };
  assert.equal(problems(files), []);
});

test("importProblems() names an import that points up", () => {
  const files = {
    "runner/base/error.ts": 'import { run } from "../engine/run.ts";\nrun();',
    "runner/engine/run.ts": "export const run = () => 1;",
  };
  assert.equal(problems(files), [
    "runner/base/error.ts → ../engine/run.ts: engine is above base; imports point from the top down",
  ]);
});

test("importProblems() names neighbours that import each other, even for a type", () => {
  const files = {
    "runner/store/blobs.ts": 'import type { Client } from "../registry/client.ts";\nexport type B = Client;',
    "runner/registry/client.ts": "export interface Client {}",
  };
  assert.equal(problems(files), [
    "runner/store/blobs.ts → ../registry/client.ts: store and registry stand side by side; they meet further up",
  ]);
});

test("importProblems() names a folder without a place and a file that is not there", () => {
  const files = { "runner/misc/x.ts": 'import "../base/y.ts";', "runner/base/z.ts": 'import "./gone.ts";' };
  assert.equal(problems(files), [
    "runner/misc/x.ts → ../base/y.ts: there is no runner/base/y.ts",
    "runner/base/z.ts → ./gone.ts: there is no runner/base/gone.ts",
  ]);
});

test("importProblems() keeps each outside thing with its owner", () => {
  const files = {
    "runner/store/a.ts": 'import { spawn } from "node:child_process";\nspawn("ls");',
    "runner/cli/b.ts": "process.exit(1);",
    "runner/engine/c.ts": 'require("koffi");',
    "runner/plan/d.ts": "export const x = 1; // WebAssembly, process.exit(1) and koffi are words in a comment",
  };
  assert.equal(problems(files), [
    "runner/store/a.ts → node:child_process: only helper may use it",
    "runner/cli/b.ts → process.exit: only main.ts may use it",
    "runner/engine/c.ts → koffi: only sys may use it",
  ]);
});

test("importProblems() prints the chain by which a pure folder reaches I/O", () => {
  const files = {
    "runner/plan/build.ts": 'import { read } from "./mounts.ts";\nread();',
    "runner/plan/mounts.ts": 'import { facts } from "../sys/facts.ts";\nexport const read = facts;',
    "runner/sys/facts.ts": 'import { readFileSync } from "node:fs";\nexport const facts = readFileSync;',
  };
  assert.equal(problems(files), [
    "runner/plan/build.ts → runner/plan/mounts.ts → runner/sys/facts.ts → node:fs: plan does no I/O",
    "runner/plan/mounts.ts → runner/sys/facts.ts → node:fs: plan does no I/O",
  ]);
});

test.run();
