/** The package as a stranger gets it: packed, installed into an empty folder without a compiler, used. */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { type Result, ROOT, type Workspace, workspace } from "../support/tsbox.ts";

let box: Workspace;
let folder: string;

test.before(async () => {
  // npm keeps its cache below HOME; the user's own one spares the download.
  box = workspace({
    npm_config_cache: process.env.npm_config_cache ?? join(process.env.HOME ?? "/nonexistent", ".npm"),
  });
  folder = join(box.dir, "project");
  mkdirSync(folder);
});

test.after(async () => {
  await box[Symbol.asyncDispose]();
});

function succeeded(result: Result): string {
  assert.is(result.code, 0, result.stderr + result.stdout);
  return result.stdout;
}

const npm = (args: string[], cwd: string) =>
  box.program("npm", [...args, "--no-audit", "--no-fund", "--no-update-notifier", "--loglevel=error"], { cwd });

/** Packs a folder into the box; what is built there is packed as it is. */
async function pack(source: string): Promise<string> {
  const out = succeeded(
    await npm(["pack", "--ignore-scripts", "--json", "--pack-destination", box.dir, source], box.dir),
  );
  return join(box.dir, (JSON.parse(out) as { filename: string }[])[0]?.filename ?? "");
}

/** koffi comes from the registry; without a network the checkout's own copy is as good. */
async function install(tarball: string): Promise<Result> {
  writeFileSync(join(folder, "package.json"), '{ "name": "stranger", "private": true }\n');
  const result = await npm(
    ["install", "--prefer-offline", "--fetch-retries=0", "--fetch-timeout=30000", tarball],
    folder,
  );
  if (result.code === 0 || !/ENOTFOUND|ECONN|EAI_AGAIN|ETIMEDOUT|ENOTCACHED|E5\d\d|network/.test(result.stderr))
    return result;
  const platform = join(ROOT, "node_modules/@koromix");
  const local = [join(ROOT, "node_modules/koffi"), ...readdirSync(platform).map((name) => join(platform, name))];
  const tarballs: string[] = [];
  for (const source of local) tarballs.push(await pack(source));
  return await npm(["install", "--offline", ...tarballs, tarball], folder);
}

need("npm", test)("npm pack and npm install need no compiler and no build", async () => {
  const tarball = await pack(ROOT);
  const listed = succeeded(await box.program("tar", ["-tzf", tarball]));
  for (const path of [
    "dist/tsbox",
    "dist/tsbox-helper",
    "dist/libtsbox.so",
    "dist/layers.wasm",
    "dist/unpack.wasm",
    "dist/base.tar",
  ])
    assert.ok(listed.includes(`package/${path}\n`), `${path} is in the package`);
  assert.not.match(listed, /package\/(runner|helper-c|wasm|scripts|tests|node_modules)\//);
  succeeded(await install(tarball));
});

need("npm", test)("npx tsbox runs a program in the base image", async () => {
  const out = succeeded(await box.program("npx", ["tsbox", "run", "--rm", "base", "echo", "hi"], { cwd: folder }));
  assert.is(out, "hi\n");
});

const use = `
  await using box = await sandbox({ image: "base" });
  const result = await box.run(["echo", "hi"]);
  console.log(JSON.stringify([result.exitCode, String(result.stdout)]));
`;
// Node 20 has no \`await using\` of its own: what the compiler makes of it, by hand.
const body = use.replace("await using box", "const box").concat("\n  await box[Symbol.asyncDispose]();");

need("npm", test)('import { sandbox } from "tsbox" works in an ES module', async () => {
  writeFileSync(join(folder, "script.mjs"), `import { sandbox } from "tsbox";\n${body}`);
  const out = succeeded(await box.program("node", ["script.mjs"], { cwd: folder }));
  assert.equal(JSON.parse(out), [0, "hi\n"]);
});

need("npm", test)('require("tsbox") works in a CommonJS script', async () => {
  writeFileSync(join(folder, "script.cjs"), `const { sandbox } = require("tsbox");\n(async () => {${body}\n})();\n`);
  const out = succeeded(await box.program("node", ["script.cjs"], { cwd: folder }));
  assert.equal(JSON.parse(out), [0, "hi\n"]);
});

need("npm", test)("a TypeScript project sees the types", async () => {
  writeFileSync(
    join(folder, "typed.ts"),
    'import { sandbox, type RunResult } from "tsbox";\nexport const f = async (): Promise<RunResult> => (await sandbox({ image: "base" })).run(["true"]);\n' +
      "// @ts-expect-error: an image is a name\nexport const g = () => sandbox({ image: 1 });\n",
  );
  const types = join(ROOT, "node_modules/@types");
  const flags = ["--noEmit", "--strict", "--target", "es2023", "--lib", "es2023,esnext.disposable", "--types", "node"];
  for (const moduleKind of ["nodenext", "preserve"]) {
    const args = [...flags, "--typeRoots", types, "--module", moduleKind, "typed.ts"];
    const result = await box.program(join(ROOT, "node_modules/.bin/tsc"), args, { cwd: folder });
    assert.is(result.code, 0, `--module ${moduleKind}: ${result.stdout}`);
  }
});

test.run();
