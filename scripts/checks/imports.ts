/**
 * The house's import rules (ARCHITECTURE.md): imports point one way, each outside thing has one
 * owner, and what calls itself pure reaches no I/O. Import statements are found by their form at the
 * start of a line, as the formatter leaves them; names by what esbuild keeps without comments.
 */
import { dirname, join } from "node:path";
import { transformSync } from "esbuild";
import type { Sources } from "./sources.ts";

/** From the bottom up. Folders of one row never import each other. */
const ORDER: string[][] = [
  ["base"],
  ["oci", "sys"],
  ["policy"],
  ["plan"],
  ["registry", "layers", "store", "container", "network", "cgroup", "helper"],
  ["engine"],
  ["build"],
  ["sandbox"],
  ["cli", "serve", "runtime"],
];
const RANK = new Map(ORDER.flatMap((row, rank) => row.map((folder) => [folder, rank] as const)));

/** These decide; they read and write nothing. */
const PURE = ["oci", "policy", "plan"];
const IO = /^(node:)?(fs|child_process|https?|http2|net|tls|dgram|dns|cluster|worker_threads|readline)(\/.*)?$|^koffi$/;

interface Owner {
  thing: string;
  owners: string[];
  /** Module that is imported. */
  module?: RegExp;
  /** What the code says. */
  code?: RegExp;
}

const OWNERS: Owner[] = [
  { thing: "koffi", owners: ["sys"], module: /^koffi$/, code: /["'`]koffi["'`]/ },
  { thing: "node:child_process", owners: ["helper"], module: /^(node:)?child_process$/ },
  { thing: "node:http", owners: ["registry", "serve"], module: /^(node:)?(https?|http2)$/ },
  { thing: "WebAssembly", owners: ["layers"], module: /^@bjorn3\/browser_wasi_shim$/, code: /\bWebAssembly\b/ },
  { thing: "mri", owners: ["cli"], module: /^mri$/ },
  { thing: "process.exit", owners: ["main.ts"], code: /\bprocess\.(exit|reallyExit)\(/ },
];

interface Import {
  specifier: string;
  /** Only types cross, so nothing is loaded. */
  typeOnly: boolean;
}

/** `sources` are named from the repository's root: "runner/plan/build.ts". */
export function importProblems(sources: Sources): string[] {
  const imports = new Map([...sources].map(([path, text]) => [path, importsOf(text)]));
  return [
    ...[...imports].flatMap(([path, list]) => list.flatMap((one) => orderProblems(path, one, sources))),
    ...[...sources].flatMap(([path, text]) => ownerProblems(path, text, imports.get(path) ?? [])),
    ...purityProblems(sources, imports),
  ];
}

export function importsOf(text: string): Import[] {
  const found: Import[] = [];
  const statement = /^(?:import|export)\s+(type\s+)?(?:[\w*${},\s]+?\s+from\s+)?["']([^"']+)["']/gm;
  for (const [, type, specifier = ""] of text.matchAll(statement))
    found.push({ specifier, typeOnly: type !== undefined });
  // `await import("x")` loads; `import("x").Name` is a type.
  for (const [, specifier = "", then] of text.matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)(\.[A-Z])?/g))
    found.push({ specifier, typeOnly: then !== undefined });
  return found;
}

function orderProblems(path: string, { specifier }: Import, sources: Sources): string[] {
  const chain = `${path} → ${specifier}`;
  if (!specifier.startsWith(".")) return [];
  const target = join(dirname(path), specifier);
  const [from, to] = [area(path), area(target)];
  // The version is said once, in package.json.
  if (target === "package.json") return [];
  // A page that the bundler puts together: text, of which nothing is imported.
  if (target.endsWith(".html") && from === area(target)) return [];
  if (!sources.has(target)) {
    if (target.startsWith("runner/") && !target.endsWith(".d.ts")) return [`${chain}: there is no ${target}`];
    return [`${chain}: leaves runner/`];
  }
  if (from === to || from === "main.ts" || from === "index.ts") return [];
  const [fromRank, toRank] = [RANK.get(from), RANK.get(to)];
  if (fromRank === undefined) return [`${path}: the folder "${from}" has no place in the import order`];
  if (toRank === undefined) return [`${chain}: "${to}" has no place in the import order, so ${from} cannot import it`];
  if (toRank > fromRank) return [`${chain}: ${to} is above ${from}; imports point from the top down`];
  if (toRank === fromRank) return [`${chain}: ${from} and ${to} stand side by side; they meet further up`];
  return [];
}

function ownerProblems(path: string, text: string, imports: Import[]): string[] {
  const code = transformSync(text, { loader: "ts", legalComments: "none" }).code;
  return OWNERS.filter(({ owners }) => !owners.includes(area(path))).flatMap(
    ({ thing, owners, module, code: said }) => {
      const imported = module && imports.some(({ specifier, typeOnly }) => !typeOnly && module.test(specifier));
      if (!imported && !said?.test(code)) return [];
      return [`${path} → ${thing}: only ${owners.join(" and ")} may use it`];
    },
  );
}

/** The shortest way from a pure file to something that does I/O, over imports that load. */
function purityProblems(sources: Sources, imports: Map<string, Import[]>): string[] {
  const problems: string[] = [];
  for (const start of sources.keys()) {
    if (!PURE.includes(area(start))) continue;
    const seen = new Set([start]);
    const queue = [[start]];
    for (const chain of queue) {
      const last = chain.at(-1) ?? start;
      for (const { specifier, typeOnly } of imports.get(last) ?? []) {
        if (typeOnly) continue;
        if (IO.test(specifier)) {
          problems.push(`${[...chain, specifier].join(" → ")}: ${area(start)} does no I/O`);
          queue.length = 0;
          break;
        }
        const next = specifier.startsWith(".") ? join(dirname(last), specifier) : "";
        if (!sources.has(next) || seen.has(next)) continue;
        seen.add(next);
        queue.push([...chain, next]);
      }
    }
  }
  return problems;
}

/** The folder below runner/, or the file's name when it lies there itself. */
function area(path: string): string {
  return path.split("/")[1] ?? path;
}
