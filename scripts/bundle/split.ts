/**
 * The command line in two files, so that a start reads and instantiates what it needs and little more:
 *
 *   hot.cjs     the entry and the verbs that are to start quickest, with all that they need on their usual way
 *   main.cjs    the rest, loaded at the first `await import()` that leaves hot.cjs
 *
 * No module is in both: what main.cjs needs of hot.cjs is that very instance, so that a class stays one class. (esbuild's own splitting makes a
 * file of every set of modules that are used together: a hundred, and of ES modules, for which there is no code cache.)
 */
import { writeFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import { type BuildOptions, type BuildResult, build, type Plugin } from "esbuild";

const ENTRY = "runner/main.ts";

/** Targets of `await import()` that belong to hot.cjs: verbs, and what their usual way leads through. */
const HOT = new Set([
  "runner/cli/commands/exec.ts",
  "runner/engine/exec.ts",
  "runner/cli/commands/run.ts",
  "runner/engine/run.ts",
  "runner/engine/resolve-image.ts",
  "runner/cli/commands/ps.ts",
  "runner/engine/list.ts",
  "runner/cli/commands/diff.ts",
  "runner/engine/diff.ts",
]);

/** Parts of Node that a start imports and seldom uses; each takes up to six milliseconds to load. */
const SELDOM = [
  "node:child_process",
  "node:https",
  "node:module",
  "node:net",
  "node:os",
  "node:stream",
  "node:tls",
  "node:url",
];

/** The launcher (launcher.cjs) calls both files, which are one function each, with these. */
const PARAMETERS = "exports, require, module, __filename, __dirname";

export async function buildCommandLine(options: BuildOptions): Promise<BuildResult[]> {
  const modules = await hotModules(options);
  const used = new Set<string>();
  const main = await bundle(options, {
    out: "main.cjs",
    parameters: `${PARAMETERS}, __hot`,
    source: table("modules", modules.left, (path) => `() => import(${quoted(`./${path}`)})`),
    plugin: fromHot(modules.exports, used),
  });
  const hot = await bundle(options, {
    out: "hot.cjs",
    parameters: `${PARAMETERS}, __rest`,
    source: `${table("modules", [...used], (path) => `() => require(${quoted(`./${path}`)})`)} require("./${ENTRY}");`,
    plugin: onlyHot,
  });
  return [hot, main];
}

/** The modules of hot.cjs with the names that they export, and those that it leaves to main.cjs. */
async function hotModules(options: BuildOptions) {
  const { metafile } = await build({
    ...options,
    entryPoints: [ENTRY],
    plugins: [...(options.plugins ?? []), onlyHot],
    outfile: "dist/hot.cjs",
    write: false,
    metafile: true,
  });
  const inside = Object.keys(metafile.inputs).filter((path) => path.startsWith("runner/"));
  const imports = Object.values(metafile.inputs).flatMap((input) => input.imports);
  const left = imports.filter(({ path }) => path.startsWith(LEFT)).map(({ path }) => path.slice(LEFT.length));
  const each = await build({
    entryPoints: inside,
    outdir: "dist",
    outbase: ".",
    format: "esm",
    write: false,
    metafile: true,
  });
  const names = new Map<string, string[]>();
  for (const { entryPoint, exports } of Object.values(each.metafile.outputs)) {
    if (entryPoint !== undefined) names.set(entryPoint, exports);
  }
  return { exports: names, left: [...new Set(left)].sort() };
}

interface Part {
  out: string;
  parameters: string;
  source: string;
  plugin: Plugin;
}

async function bundle(options: BuildOptions, { out, parameters, source, plugin }: Part): Promise<BuildResult> {
  const result = await build({
    ...options,
    stdin: { contents: source, resolveDir: ".", sourcefile: out },
    plugins: [...(options.plugins ?? []), plugin],
    banner: { js: `(function (${parameters}) {` },
    footer: { js: "})" },
    outfile: `dist/${out}`,
    write: false,
    metafile: true,
  });
  let text = result.outputFiles[0]?.text ?? "";
  text = text.replace(/import\(\s*"left:/g, '__rest("');
  text = text.replace(/=\s*require\(\s*"(node:[\w/]+)"\s*\)/g, (all, name) =>
    SELDOM.includes(name) ? `=__later("${name}")` : all,
  );
  text = text.replace(/^\(function [^{]*\{/, (head) => head + LATER);
  writeFileSync(`dist/${out}`, text);
  return result;
}

/** Loads a part of Node at the first use of something in it. */
const LATER = `const __later=(name)=>new Proxy({},{get:(_,key)=>require(name)[key]});`;

/** What stands before the path of a module that hot.cjs leaves to main.cjs. */
const LEFT = "left:";

const onlyHot: Plugin = {
  name: "only-hot",
  setup({ onResolve }) {
    onResolve({ filter: /^\.{1,2}\// }, ({ kind, path, resolveDir }) => {
      const target = relative(".", resolve(resolveDir, path));
      return kind === "dynamic-import" && !HOT.has(target) ? { path: LEFT + target, external: true } : undefined;
    });
  },
};

/** Modules of hot.cjs are what hot.cjs gives; `used` gets their paths. */
function fromHot(names: Map<string, string[]>, used: Set<string>): Plugin {
  return {
    name: "from-hot",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: /^\.{1,2}\// }, ({ path, resolveDir }) => {
        const target = relative(".", resolve(resolveDir, path));
        return names.has(target) ? { path: target, namespace: "hot" } : undefined;
      });
      onLoad({ filter: /.*/, namespace: "hot" }, ({ path }) => {
        used.add(path);
        const lines = (names.get(path) ?? []).map((name) =>
          name === "default" ? "export default found.default;" : `export const ${name} = found.${name};`,
        );
        return { contents: [`const found = __hot.modules[${quoted(path)}]();`, ...lines].join("\n"), loader: "js" };
      });
    },
  };
}

function table(name: string, paths: readonly string[], value: (path: string) => string): string {
  return `exports.${name} = {${paths.map((path) => `${quoted(path)}: ${value(path)}`).join(", ")}};`;
}

const quoted = (text: string) => JSON.stringify(text);
