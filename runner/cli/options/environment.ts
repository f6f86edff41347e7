/** `-e NAME[=VALUE]` and `--env-file`, by docker's rules. */

import { visible } from "../../base/error.ts";
import { UsageError } from "../usage-error.ts";

export type HostEnvironment = Readonly<Record<string, string | undefined>>;

export interface Environment {
  env: string[];
  unsetEnv: string[];
}

/** A name without a value takes the host's; where the host has none, the image's own variable goes. */
export function resolveEnvironment(words: readonly string[], host: HostEnvironment): Environment {
  const env: string[] = [];
  const unsetEnv: string[] = [];
  for (const word of words) {
    if (word.startsWith("=") || word === "") {
      throw new UsageError(`Cannot set environment variable "${visible(word)}": it has no name`);
    }
    if (word.includes("=")) env.push(word);
    else if (host[word] !== undefined) env.push(`${word}=${host[word]}`);
    else unsetEnv.push(word);
  }
  return { env, unsetEnv };
}

/**
 * Lines `NAME=VALUE` and `NAME`. Nothing is unquoted or expanded and the value keeps its blanks; blank lines and lines that
 * begin with # are skipped. A NAME alone takes the host's value, or is left out (unlike with `-e`, it removes nothing).
 */
export function parseEnvFile(text: string, path: string, host: HostEnvironment): string[] {
  const words: string[] = [];
  for (const { line, number } of linesOf(text)) {
    const equals = line.indexOf("=");
    const name = equals < 0 ? line.trimEnd() : line.slice(0, equals);
    const where = `Cannot read ${path}: line ${number}`;
    if (name === "") throw new UsageError(`${where} has no name before "="`);
    if (/\s/.test(name)) throw new UsageError(`${where}: name "${visible(name)}" contains blanks`);
    if (equals >= 0) words.push(line);
    else if (host[name] !== undefined) words.push(`${name}=${host[name]}`);
  }
  return words;
}

/** The lines that say something, with their numbers. Shared with label files, which have the same form. */
export function* linesOf(text: string): Generator<{ line: string; number: number }> {
  const lines = text.replace(/^\uFEFF/, "").split("\n");
  for (const [i, raw] of lines.entries()) {
    const line = raw.replace(/\r$/, "").trimStart();
    if (line !== "" && !line.startsWith("#")) yield { line, number: i + 1 };
  }
}
