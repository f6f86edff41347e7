/**
 * Words of the command line → typed flags and positionals, by a verb's declared flags.
 *
 * mri collects the values, but only sees words rewritten to the one form it reads exactly, `--key=value`. Left alone it parses on
 * after the first positional, turns "007" into 7, lets an unknown flag swallow the next word, takes the next word for an
 * empty `--key=`, spreads `-eNAME=1` over five flags, reads `--no-trunc` as the opposite of "trunc" and drops a lone "-".
 */

import mri from "mri";
import { type Flag, type Flags, type FlagValues, longName } from "./flags.ts";
import { nearest } from "./suggest.ts";
import { UsageError } from "./usage-error.ts";

export interface Parsed<F extends Flags> {
  flags: FlagValues<F>;
  words: string[];
  /** Keys of the flags that were on the command line. */
  given: Set<keyof F>;
}

export interface ArgvRules {
  /** Said in errors: `tsbox run`. */
  command: string;
  /** Words from the first positional on are not flags: they belong to the program to run. */
  cutAtFirstWord: boolean;
}

export function parseArgv<F extends Flags>(argv: readonly string[], flags: F, rules: ArgvRules): Parsed<F> {
  const { canonical, words } = rewrite(argv, flags, rules);
  const keys = Object.keys(flags);
  // Every flag is a string to mri: its own idea of booleans would drop "--init=maybe" instead of refusing it.
  const collected: Record<string, unknown> = mri(canonical, { string: keys });
  const values: Record<string, unknown> = {};
  const given = new Set<keyof F>();
  for (const key of keys) {
    const raw = Object.hasOwn(collected, key) ? [collected[key]].flat().map(String) : [];
    if (raw.length > 0) given.add(key);
    values[key] = flags[key]?.read(raw, `--${longName(key)}`);
  }
  return { flags: values as FlagValues<F>, words, given };
}

/** Names two flags that cannot be used together, if both were given. */
export function refuseTogether<F extends Flags>(parsed: Parsed<F>, a: keyof F & string, b: keyof F & string): void {
  if (parsed.given.has(a) && parsed.given.has(b) && parsed.flags[a] !== false && parsed.flags[b] !== false) {
    throw new UsageError(`Cannot use --${longName(a)} together with --${longName(b)}`);
  }
}

interface Rewritten {
  canonical: string[];
  words: string[];
}

/** Sorts the words into positionals and `--key=value`, knowing which flag takes the next word. */
function rewrite(argv: readonly string[], flags: Flags, rules: ArgvRules): Rewritten {
  const names = nameTable(flags);
  const canonical: string[] = [];
  const words: string[] = [];
  const rest = [...argv];
  for (let word = rest.shift(); word !== undefined; word = rest.shift()) {
    if (word === "--") {
      words.push(...rest);
      break;
    }
    if (!word.startsWith("-") || word === "-") {
      words.push(word);
      if (!rules.cutAtFirstWord) continue;
      words.push(...rest);
      break;
    }
    if (word.startsWith("--")) canonical.push(longFlag(word, names, rest, rules));
    else canonical.push(...shortFlags(word, names, rest, rules));
  }
  return { canonical, words };
}

interface Named {
  key: string;
  flag: Flag<unknown>;
}

/** Every spelling, with its dashes, of every flag. */
function nameTable(flags: Flags): Map<string, Named> {
  const table = new Map<string, Named>();
  for (const [key, flag] of Object.entries(flags)) {
    table.set(`--${longName(key)}`, { key, flag });
    for (const alias of flag.aliases ?? []) table.set(`--${alias}`, { key, flag });
    if (flag.short !== undefined) table.set(`-${flag.short}`, { key, flag });
  }
  return table;
}

function longFlag(word: string, names: Map<string, Named>, rest: string[], rules: ArgvRules): string {
  const equals = word.indexOf("=");
  const name = equals < 0 ? word : word.slice(0, equals);
  const named = names.get(name);
  if (named === undefined) {
    const negated = name.startsWith("--no-") ? names.get(`--${name.slice(5)}`) : undefined;
    if (negated !== undefined && !negated.flag.takesValue && equals < 0) return `--${negated.key}=false`;
    throw unknownFlag(name, names, rules);
  }
  if (equals >= 0) return `--${named.key}=${word.slice(equals + 1)}`;
  if (!named.flag.takesValue) return `--${named.key}=true`;
  return `--${named.key}=${nextWord(name, named.flag, rest, rules)}`;
}

/** `-dit`, `-eNAME=1`, `-e NAME=1`, `-e=NAME`: letters up to the first that takes a value. */
function shortFlags(word: string, names: Map<string, Named>, rest: string[], rules: ArgvRules): string[] {
  // One dash before a long name is a slip: "-detach" would otherwise be -d and -e with the variable "tach".
  const long = `-${word.replace(/=.*$/s, "")}`;
  if (names.has(long)) throw unknownFlag(word, names, rules, long);
  const found: string[] = [];
  for (let i = 1; i < word.length; i++) {
    const name = `-${word[i]}`;
    const named = names.get(name);
    if (named === undefined) throw unknownFlag(name, names, rules);
    const tail = word.slice(i + 1);
    if (!named.flag.takesValue) {
      if (tail.startsWith("=")) {
        found.push(`--${named.key}=${tail.slice(1)}`);
        break;
      }
      found.push(`--${named.key}=true`);
      continue;
    }
    const attached = tail.startsWith("=") ? tail.slice(1) : tail;
    found.push(`--${named.key}=${tail === "" ? nextWord(name, named.flag, rest, rules) : attached}`);
    break;
  }
  return found;
}

/** The value is the next word whatever it looks like: `--entrypoint -c` and `--tail -1` are meant so. */
function nextWord(name: string, flag: Flag<unknown>, rest: string[], rules: ArgvRules): string {
  const next = rest.shift();
  if (next === undefined) {
    throw new UsageError(`Cannot use ${name}: it needs a value`, {
      hint: `write "${name} ${flag.placeholder ?? "VALUE"}"; "${rules.command} --help" lists the flags`,
    });
  }
  return next;
}

function unknownFlag(name: string, names: Map<string, Named>, rules: ArgvRules, meant?: string): UsageError {
  const shown = [...names].filter(([spelling, { flag }]) => spelling.startsWith("--") && !flag.hidden).map(([s]) => s);
  const near = meant ?? (name.startsWith("--") ? nearest(name, shown) : undefined);
  return new UsageError(`Cannot run ${rules.command}: unknown flag ${JSON.stringify(name)}`, {
    hint: near === undefined ? `"${rules.command} --help" lists the flags` : `did you mean "${near}"?`,
  });
}
