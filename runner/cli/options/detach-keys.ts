import { UsageError } from "../usage-error.ts";

/** The helper keeps no more. */
const MOST = 16;

/** `ctrl-p,ctrl-q`, `ctrl-@`, `a,b`: keys as docker writes them → the bytes that a terminal sends. Empty: no keys. */
export function parseDetachKeys(text: string): number[] {
  if (text === "") return [];
  const keys = text.split(",").map(parseKey);
  if (keys.length > MOST) throw new UsageError(`expected at most ${MOST} keys`);
  return keys;
}

function parseKey(word: string): number {
  const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(word)?.[1];
  if (control !== undefined) return control.toUpperCase().charCodeAt(0) - 64;
  if (/^[\x20-\x7e]$/.test(word)) return word.charCodeAt(0);
  throw new UsageError("expected keys such as ctrl-p,ctrl-q", {
    hint: "a letter, or ctrl- and one of a-z @ [ \\ ] ^ _",
  });
}
