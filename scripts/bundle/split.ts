/**
 * The command line in several files, so that a start reads and instantiates what it needs and little more:
 *
 *   hot.cjs     the entry, and `exec` with all that it needs on its usual way
 *   run.cjs     what `run` needs besides
 *   ps.cjs      what `ps` needs besides
 *   diff.cjs    what `diff` needs besides
 *   pull.cjs    what `pull` needs besides
 *   main.cjs    the rest
 *
 * Each is loaded at the first `await import()` that leads into it. No module is in two: what a file needs of another is that very instance, so that a
 * class stays one class. (esbuild's own splitting makes a file of every set of modules that are used together: a hundred, and of ES modules, for
 * which there is no code cache.)
 */
import { readFileSync, writeFileSync } from "node:fs";
import { relative, resolve } from "node:path";
import { type BuildOptions, type BuildResult, build, type Plugin } from "esbuild";

const ENTRY = "runner/main.ts";

/** The files in the order of their loading, and what `await import()` finds in each. All else is in main.cjs. */
const FILES: Record<string, readonly string[]> = {
  hot: ["runner/cli/commands/exec.ts", "runner/engine/exec.ts"],
  run: ["runner/cli/commands/run.ts", "runner/engine/run.ts", "runner/engine/resolve-image.ts"],
  ps: ["runner/cli/commands/ps.ts", "runner/engine/list.ts"],
  diff: ["runner/cli/commands/diff.ts", "runner/engine/diff.ts"],
  pull: ["runner/cli/commands/pull.ts", "runner/engine/pull.ts"],
};
const REST = "main";

/** Files of which others take a module and leave the rest: `run` unpacks layers, and needs no HTTP for it. */
const LAZY = ["pull", REST];

/** Parts of Node that a start imports and seldom uses; each takes up to six milliseconds to load. */
const SELDOM = [
  "node:child_process",
  "node:https",
  "node:module",
  "node:net",
  "node:os",
  "node:readline",
  "node:stream",
  "node:tls",
  "node:url",
  "node:v8",
];

/**
 * Each file is one function, which loader.cjs calls: `__own.modules` is for what it gives, `__modules(FILE)` is that of another file. `__later` loads a part of Node at the first use of
 * something in it.
 */
const HEAD =
  "(function (__own, require, __filename, __dirname, __modules) {" +
  "const __import=async(file,path)=>__modules(file)[path]();" +
  "const __later=(name)=>new Proxy({},{get:(_,key)=>require(name)[key]});";

export async function buildCommandLine(options: BuildOptions): Promise<BuildResult[]> {
  const { owners, left } = await findOwners(options);
  const files = [...Object.keys(FILES), REST];
  const names = await exportedNames([...owners.keys(), ...left]);
  const wanted = new Map(files.map((file) => [file, new Set(FILES[file])]));
  // an `await import()` may also lead into a file behind
  for (const path of left) wanted.get(owners.get(path) ?? REST)?.add(path);
  const built = new Set<string>();
  const results: BuildResult[] = [];
  // the last first: static imports lead into files before, which then know what they are asked for
  for (const file of files.reverse()) {
    const result = await build({
      ...options,
      stdin: {
        contents: `import ${quoted(TABLE)};${file === "hot" ? `import "./${ENTRY}";` : ""}`,
        resolveDir: ".",
        sourcefile: `${file}.cjs`,
      },
      plugins: [
        ...(options.plugins ?? []),
        table(() => (LAZY.includes(file) ? lazyTable : readyTable)([...(wanted.get(file) ?? [])], names)),
        borrowing(file, owners, names, (owner, path) => {
          if (built.has(owner) && !wanted.get(owner)?.has(path)) throw new Error(`${owner}.cjs does not give ${path}`);
          wanted.get(owner)?.add(path);
        }),
      ],
      banner: { js: HEAD },
      footer: { js: "})" },
      outfile: `dist/${file}.cjs`,
      metafile: true,
    });
    rewrite(`dist/${file}.cjs`);
    built.add(file);
    results.push(result);
  }
  return results;
}

/** All modules are evaluated as the file is loaded, in one scope. */
function readyTable(paths: readonly string[], names: Map<string, readonly string[]>): string {
  const imports: string[] = [];
  const entries = paths.map((path, number) => {
    const list = (names.get(path) ?? []).map((name) => [name, `${name}_${number}`] as const);
    imports.push(`import {${list.map(([name, own]) => `${name} as ${own}`).join(", ")}} from ${quoted(`./${path}`)};`);
    return `${quoted(path)}: () => ({${list.map(([name, own]) => `${quoted(name)}: ${own}`).join(", ")}})`;
  });
  return `${imports.join("\n")} __own.modules = {${entries.join(", ")}};`;
}

/** Each module is evaluated when it is asked for. */
function lazyTable(paths: readonly string[]): string {
  const entries = paths.map((path) => `${quoted(path)}: () => require(${quoted(`./${path}`)})`);
  return `__own.modules = {${entries.join(", ")}};`;
}

/** The module that makes a file's modules known, before any of them starts to work. */
const TABLE = "modules-of-this-file";

function table(contents: () => string): Plugin {
  return {
    name: "table",
    setup({ onResolve, onLoad }) {
      onResolve({ filter: new RegExp(`^${TABLE}$`) }, () => ({ path: TABLE, namespace: "table" }));
      onLoad({ filter: /.*/, namespace: "table" }, () => ({ contents: contents(), resolveDir: ".", loader: "js" }));
    },
  };
}

/** Which file has which module (the first that needs it), and what else they lead to. */
async function findOwners(options: BuildOptions): Promise<{ owners: Map<string, string>; left: string[] }> {
  const owners = new Map<string, string>();
  const left = new Set<string>();
  for (const [file, targets] of Object.entries(FILES)) {
    const { metafile } = await build({
      ...options,
      entryPoints: file === "hot" ? [ENTRY] : [...targets],
      plugins: [...(options.plugins ?? []), bounded(targets, owners, left)],
      outdir: "dist",
      write: false,
      metafile: true,
    });
    for (const path of Object.keys(metafile.inputs)) if (path.startsWith("runner/")) owners.set(path, file);
  }
  return { owners, left: [...left].sort() };
}

/** Follows what one file will hold: not what another has, and `await import()` only to its own targets; other targets are noted. */
function bounded(targets: readonly string[], owners: Map<string, string>, left: Set<string>): Plugin {
  return ofSources("bounded", (target, dynamic) => {
    if (!owners.has(target) && (!dynamic || targets.includes(target))) return undefined;
    if (dynamic) left.add(target);
    return { path: target, external: true };
  });
}

/**
 * What another file has is taken from there: at the start, by a module that stands for it, or at an `await import()`. A file's own targets of such are in
 * its table, too.
 */
function borrowing(
  file: string,
  owners: Map<string, string>,
  names: Map<string, readonly string[]>,
  wants: (owner: string, path: string) => void,
): Plugin {
  const plugin = ofSources("borrowing", (target, dynamic) => {
    const owner = owners.get(target) ?? REST;
    if (owner === file && (!dynamic || file === REST)) return undefined;
    wants(owner, target);
    return dynamic ? { path: `${FROM}${owner}:${target}`, external: true } : { path: target, namespace: "borrowed" };
  });
  return {
    name: plugin.name,
    setup(build) {
      plugin.setup(build);
      build.onLoad({ filter: /.*/, namespace: "borrowed" }, ({ path }) => {
        const found = `const found = __modules(${quoted(owners.get(path) ?? REST)})[${quoted(path)}]();`;
        const lines = (names.get(path) ?? []).map((name) =>
          name === "default" ? "export default found.default;" : `export const ${name} = found.${name};`,
        );
        return { contents: [found, ...lines].join("\n"), loader: "js" };
      });
    },
  };
}

interface Resolved {
  path: string;
  external?: boolean;
  namespace?: string;
}

/** Imports of our own modules, by their path from the checkout's top. */
function ofSources(name: string, resolved: (target: string, dynamic: boolean) => Resolved | undefined): Plugin {
  return {
    name,
    setup({ onResolve }) {
      onResolve({ filter: /^\.{1,2}\/.*\.ts$/ }, ({ kind, path, resolveDir, importer }) => {
        if (kind !== "import-statement" && kind !== "dynamic-import") return undefined;
        // the table's own
        if (!importer.endsWith(".ts")) return undefined;
        return resolved(relative(".", resolve(resolveDir, path)), kind === "dynamic-import");
      });
    },
  };
}

async function exportedNames(paths: string[]): Promise<Map<string, readonly string[]>> {
  const { metafile } = await build({
    entryPoints: paths,
    outdir: "dist",
    outbase: ".",
    format: "esm",
    write: false,
    metafile: true,
  });
  return new Map(Object.values(metafile.outputs).map(({ entryPoint = "", exports }) => [entryPoint, exports]));
}

/** Stands before FILE:PATH in an `import()` that leads into another file. */
const FROM = "from:";

/** What esbuild has no word for. */
function rewrite(path: string): void {
  const text = readFileSync(path, "latin1")
    .replace(/\bimport\(\s*"from:(\w+):/g, '__import("$1","')
    .replace(/=\s*require\(\s*"(node:[\w/]+)"\s*\)/g, (all, name) =>
      SELDOM.includes(name) ? `=__later("${name}")` : all,
    );
  if (text.includes(`"${FROM}`)) throw new Error(`${path}: an import() of another file was not understood`);
  writeFileSync(path, text, "latin1");
}

const quoted = (text: string) => JSON.stringify(text);
