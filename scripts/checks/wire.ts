/**
 * Whether both sides of each contract say the same. Contract 1, the plan: ARCHITECTURE.md's tables,
 * the typed form, the runner's encoder and the helper's tables. Contract 2, the records:
 * wasm/abi.h and its mirror in TypeScript. Contract 3, the kept start: the table, what the runner writes and what the launcher reads.
 */

export interface WireTexts {
  architecture: string;
  /** runner/plan/types.ts */
  types: string;
  /** runner/helper/wire.ts */
  encoder: string;
  /** helper-c/plan.c */
  table: string;
  /** All of helper-c, headers included. */
  helper: string;
  /** wasm/abi.h and the headers whose enums the runner uses. */
  headers: string;
  /** runner/layers/abi.ts */
  mirror: string;
  /** runner/engine/keep-start.ts and runner/store/kept-starts.ts */
  keeper: string;
  /** All of helper-c/launcher. */
  launcher: string;
}

/** Name of a word to the number of its operands; a list counts as one. */
type Words = Map<string, number>;

export function wireProblems(texts: WireTexts): string[] {
  return [...planProblems(texts), ...eventProblems(texts), ...recordProblems(texts), ...keptProblems(texts)];
}

// --- the plan -------------------------------------------------------------------------------------

function planProblems(texts: WireTexts): string[] {
  const ops = {
    "ARCHITECTURE.md": documented(section(texts.architecture, "Ops")),
    "runner/plan/types.ts": typedOps(texts.types),
    "helper-c/plan.c": tabled(texts.table, "op_specs"),
  };
  const settings = {
    "ARCHITECTURE.md": documented(section(texts.architecture, "Settings")),
    "helper-c/plan.c": tabled(texts.table, "setting_specs"),
  };
  const encodedOps = names(texts.encoder, /case "([a-z0-9-]+)":/g);
  const encodedSettings = names(texts.encoder, /\bput\("([a-z0-9-]+)"/g);
  return [
    ...disagreements("op", ops),
    ...disagreements("setting", settings),
    ...missing("op", "helper-c/plan.c", ops["helper-c/plan.c"].keys(), "runner/helper/wire.ts", encodedOps),
    ...missing("op", "runner/helper/wire.ts", encodedOps, "helper-c/plan.c", ops["helper-c/plan.c"]),
    ...missing(
      "setting",
      "helper-c/plan.c",
      settings["helper-c/plan.c"].keys(),
      "runner/helper/wire.ts",
      encodedSettings,
    ),
    ...missing("setting", "runner/helper/wire.ts", encodedSettings, "helper-c/plan.c", settings["helper-c/plan.c"]),
    ...sameNumber("PLAN_VERSION", {
      "runner/plan/types.ts": /PLAN_VERSION = (\d+)/.exec(texts.types)?.[1],
      "helper-c": /#define PLAN_VERSION (\d+)/.exec(texts.helper)?.[1],
      "ARCHITECTURE.md": /`tsbox-plan` and the version, `(\d+)`/.exec(texts.architecture)?.[1],
    }),
  ];
}

/** The text from a heading to the next one. */
function section(text: string, heading: string): string {
  const start = text.search(new RegExp(`^###? ${heading}\\b`, "m"));
  if (start < 0) throw new Error(`Cannot compare the contracts: ARCHITECTURE.md has no section "${heading}"`);
  const rest = text.slice(start + 4);
  const end = rest.search(/^##/m);
  return end < 0 ? rest : rest.slice(0, end);
}

/**
 * Words of a section's table. In the first cell each `name OPERANDS` is a word; in the others only
 * what has operands in capitals, since flags and examples stand there too.
 */
function documented(text: string): Words {
  const found: Words = new Map();
  let previous = 0;
  for (const line of text.split("\n").filter((line) => /^\| `/.test(line))) {
    const [first = "", ...others] = line.slice(1).split(" |");
    for (const [, word = "", rest = ""] of first.matchAll(/`([a-z0-9-]+)((?: [^`]+)?)`/g)) {
      // `gid-map …`: as the one before.
      previous = rest.trim() === "…" ? previous : operandCount(rest);
      found.set(word, previous);
    }
    for (const [, word = "", rest = ""] of others.join(" |").matchAll(/`([a-z0-9-]+)((?: [A-Z]+…?)+)`/g))
      found.set(word, operandCount(rest));
  }
  return found;
}

/** `N` and `WORD…` after it are one list. */
function operandCount(rest: string): number {
  return rest
    .replace(/\bN [A-Z=]+…/g, "LIST")
    .trim()
    .split(/\s+/)
    .filter(Boolean).length;
}

/** Fields of each member of the type Op, besides `op` itself. */
function typedOps(types: string): Words {
  const found: Words = new Map();
  for (const [, word = "", fields = ""] of types.matchAll(/\{\s*op: "([a-z0-9-]+)";?([^}]*)\}/g))
    found.set(word, [...fields.matchAll(/\w+\??:/g)].length);
  return found;
}

/** The rows of a table in C: {"name", "operand letters", …}. */
function tabled(text: string, table: string): Words {
  const body = new RegExp(`\\b${table}\\[\\] = \\{([\\s\\S]*?)\\n\\};`).exec(text)?.[1];
  if (body === undefined) throw new Error(`Cannot compare the contracts: helper-c/plan.c has no table "${table}"`);
  return new Map(
    [...body.matchAll(/\{"([a-z0-9-]+)", "([^"]*)"/g)].map(([, word = "", operands = ""]) => [word, operands.length]),
  );
}

function names(text: string, pattern: RegExp): Set<string> {
  return new Set([...text.matchAll(pattern)].map(([, name = ""]) => name));
}

function disagreements(kind: string, sides: Record<string, Words>): string[] {
  const all = new Set(Object.values(sides).flatMap((words) => [...words.keys()]));
  return [...all].flatMap((word) => {
    const lacking = Object.keys(sides).filter((side) => !sides[side]?.has(word));
    if (lacking.length > 0) return [`${kind} "${word}" is missing in ${lacking.join(" and ")}`];
    const counts = Object.entries(sides).map(([side, words]) => `${words.get(word)} in ${side}`);
    const same = new Set(Object.values(sides).map((words) => words.get(word))).size === 1;
    return same ? [] : [`${kind} "${word}" has differing numbers of operands: ${counts.join(", ")}`];
  });
}

function missing(
  kind: string,
  from: string,
  words: Iterable<string>,
  to: string,
  has: { has(word: string): boolean },
): string[] {
  return [...words].filter((word) => !has.has(word)).map((word) => `${kind} "${word}" of ${from} is missing in ${to}`);
}

function sameNumber(what: string, sides: Record<string, string | undefined>): string[] {
  if (new Set(Object.values(sides)).size === 1 && !Object.values(sides).includes(undefined)) return [];
  return [
    `${what} differs: ${Object.entries(sides)
      .map(([side, value]) => `${value} in ${side}`)
      .join(", ")}`,
  ];
}

// --- the events -----------------------------------------------------------------------------------

function eventProblems(texts: WireTexts): string[] {
  const typed = new Map<string, Set<string>>();
  const union =
    /export type HelperEvent =[\s\S]*?\n\);|export type HelperEvent =[\s\S]*?;\n\n/.exec(texts.types)?.[0] ?? "";
  for (const [, name = "", fields = ""] of union.matchAll(/\{\s*event: "([a-z-]+)";?([^}]*)\}/g))
    typed.set(name, names(fields, /(\w+)\??:/g));
  const written = names(texts.helper, /event_begin\((?:[^",]+, )?"([a-z-]+)"/g);
  const known = new Map<string, Set<string>>();
  for (const line of section(texts.architecture, "Events").split("\n")) {
    const [, first = "", rest = ""] = /^\| ((?:`[a-z-]+`(?:, )?)+) \|(.*)\|$/.exec(line) ?? [];
    for (const name of names(first, /`([a-z-]+)`/g))
      known.set(name, names(rest.replace(/: [^;]*(;|$)/g, "; "), /`(\w+)`/g));
  }
  const problems = [...new Set([...typed.keys(), ...written, ...known.keys()])].flatMap((name) => {
    const lacking = [
      typed.has(name) ? "" : "runner/plan/types.ts",
      written.has(name) ? "" : "helper-c",
      known.has(name) ? "" : "ARCHITECTURE.md",
    ].filter(Boolean);
    return lacking.length === 0 ? [] : [`event "${name}" is missing in ${lacking.join(" and ")}`];
  });
  for (const [name, fields] of typed) {
    for (const field of fields)
      if (!new RegExp(`event_\\w+\\([^;]*"${field}"|\\\\"${field}\\\\":`).test(texts.helper))
        problems.push(`event "${name}": nothing in helper-c writes the field "${field}"`);
  }
  return problems;
}

// --- the records ----------------------------------------------------------------------------------

/** Enums of the headers and what the mirror calls them. */
const ENUMS = [
  { prefix: "RECORD_FLAG_", enum: "record_flag", mirror: "RecordFlag" },
  { prefix: "RECORD_", enum: "record_kind", mirror: "RecordKind" },
  { prefix: "READER_", enum: "reader_flag", mirror: "ReaderFlag" },
  { prefix: "READER_", enum: "reader_status", mirror: "ReaderStatus" },
  { prefix: "GUNZIP_", enum: "gunzip_status", mirror: "GunzipStatus" },
  { prefix: "LENT_", enum: "lent_status", mirror: "LentStatus" },
];

/** Fields whose name in TypeScript is not the C name in camel case. */
const RENAMED: Record<string, string> = { mtime_sec: "mtimeSeconds", mtime_nsec: "mtimeNanoseconds" };

const SIZES: Record<string, number> = { uint8_t: 1, uint16_t: 2, uint32_t: 4, uint64_t: 8, int64_t: 8 };

function recordProblems({ headers, mirror }: WireTexts): string[] {
  const problems: string[] = [];
  for (const name of ["ABI_VERSION", "RECORD_MAX", "RECORD_HEADER_SIZE"]) {
    const c = number(new RegExp(`#define ${name} (.+)`).exec(headers)?.[1]);
    const ts = number(new RegExp(`export const ${name} = ([^;]+);`).exec(mirror)?.[1]);
    if (c === undefined || c !== ts) problems.push(`${name} is ${c} in wasm, ${ts} in runner/layers/abi.ts`);
  }
  for (const { prefix, enum: cName, mirror: tsName } of ENUMS) {
    const c = new Map(
      [...(new RegExp(`enum ${cName} \\{([\\s\\S]*?)\\n\\};`).exec(headers)?.[1] ?? "").matchAll(/(\w+) = (\d+)/g)].map(
        ([, name = "", value]) => [name.replace(prefix, ""), Number(value)] as const,
      ),
    );
    const ts = new Map(
      [
        ...(new RegExp(`${tsName} = \\{([\\s\\S]*?)\\} as const`).exec(mirror)?.[1] ?? "").matchAll(/(\w+): (\d+)/g),
      ].map(([, name = "", value]) => [name, Number(value)] as const),
    );
    if (c.size === 0) problems.push(`enum ${cName} is missing in wasm`);
    for (const name of new Set([...c.keys(), ...ts.keys()]))
      if (c.get(name) !== ts.get(name))
        problems.push(`${tsName}.${name} is ${ts.get(name)} in runner/layers/abi.ts, ${c.get(name)} in wasm`);
  }
  return [...problems, ...offsetProblems(headers, mirror)];
}

/** Where the mirror reads each field, against the struct's own layout (naturally aligned, no padding). */
function offsetProblems(headers: string, mirror: string): string[] {
  const body = /struct record \{([\s\S]*?)\n\};/.exec(headers)?.[1] ?? "";
  const problems: string[] = [];
  let offset = 0;
  for (const [, type = "", name = ""] of body.matchAll(/^\s*(u?int\d+_t) (\w+);/gm)) {
    const camel = RENAMED[name] ?? name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());
    const read = new RegExp(
      `\\b${camel}(?::| =) (?:Number\\()?view\\.get(?:Big)?(?:Ui|I)nt(\\d+)\\((\\d+), true\\)`,
    ).exec(mirror);
    const size = SIZES[type] ?? 0;
    if (read && (Number(read[2]) !== offset || Number(read[1]) !== 8 * size))
      problems.push(
        `record field ${name}: ${8 * size} bits at ${offset} in wasm/abi.h, ${read[1]} at ${read[2]} in runner/layers/abi.ts`,
      );
    offset += size;
  }
  return problems;
}

/** `1u << 20`, `80u`, `1 << 20`. */
function number(text: string | undefined): number | undefined {
  const [, value, shift] = /^\(?(\d+)u?(?: << (\d+))?\)?\s*$/.exec(text?.trim() ?? "") ?? [];
  return value === undefined ? undefined : Number(value) * 2 ** Number(shift ?? 0);
}

// --- the kept start ---------------------------------------------------------------------------------

function keptProblems({ architecture, keeper, launcher }: WireTexts): string[] {
  const table = section(architecture, "Contract 3");
  const rows = [...table.matchAll(/^\| (`.*?) \|/gm)].map(([, cell]) => cell).join("\n");
  const entries = /\} entries\[\] = \{([\s\S]*?)\n\};/.exec(launcher)?.[1] ?? "";
  const sides = {
    "ARCHITECTURE.md": names(rows, /`([a-z-]+)[ `]/g),
    "runner/engine/keep-start.ts": names(keeper, /\[\s*"(?!tsbox-)([a-z-]+)"[,\]]/g),
    "helper-c/launcher": names(entries, /\{"([a-z-]+)",/g),
  };
  const all = new Set(Object.values(sides).flatMap((words) => [...words]));
  return [
    ...[...all].flatMap((word) =>
      Object.entries(sides).flatMap(([side, words]) =>
        words.has(word) ? [] : [`word "${word}" of a kept start is missing in ${side}`],
      ),
    ),
    ...sameNumber("version of a kept start", {
      "runner/engine/keep-start.ts": /\bVERSION = "(\d+)"/.exec(keeper)?.[1],
      "helper-c/launcher": /#define KEPT_VERSION "(\d+)"/.exec(launcher)?.[1],
      "ARCHITECTURE.md": /`tsbox-kept`, the version `(\d+)`/.exec(architecture)?.[1],
    }),
  ];
}
