import { mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { StoreLayout } from "./layout.ts";

/*
 * The files of kept starts, as the launcher finds and reads them (ARCHITECTURE.md, contract 3; helper-c/launcher). What stands in them:
 * engine/keep-start.ts.
 */

const VERSION = "1";
/** As the launcher's. */
const MOST_BYTES = 1 << 20;

export interface KeptStart {
  /** The command line without the program's name, and the current directory: by these it is found. */
  words: readonly string[];
  cwd: string;
  /** Conditions, then what is made; the last word of a `file` is its content, a character a byte. */
  entries: readonly (readonly string[])[];
}

/** Takes the place of another that has the same file. */
export function keepStart(layout: StoreLayout, { words, cwd, entries }: KeptStart): void {
  const body = Buffer.from(
    entries
      .flatMap((entry) => (entry[0] === "file" ? entry : entry.map(bytes)))
      .map((word) => `${word}\0`)
      .join(""),
    "latin1",
  );
  const content = Buffer.concat([Buffer.from(`tsbox-kept\0${VERSION}\0${hashOf(body)}\0`, "latin1"), body]);
  if (content.length >= MOST_BYTES) return;
  const path = join(layout.kept, slotOf(words, cwd));
  // one name for all who write: two at once make a file that its checksum refuses, and a killed one leaves no heap of them
  const part = `${path}.new`;
  try {
    writeFileSync(part, content, { mode: 0o600 });
  } catch {
    mkdirSync(layout.kept, { recursive: true, mode: 0o700 });
    writeFileSync(part, content, { mode: 0o600 });
  }
  renameSync(part, path);
}

/** Where images have changed none holds any more, and what was typed need not lie about. */
export function forgetStarts(layout: StoreLayout): void {
  rmSync(layout.kept, { recursive: true, force: true });
}

/** Bytes as characters: files need not be UTF-8. */
function bytes(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

/** FNV-1a; as the launcher has it. */
function hashOf(content: Buffer): number {
  let hash = 2166136261;
  for (const byte of content) hash = Math.imul(hash ^ byte, 16777619);
  return hash >>> 0;
}

/** One of 256. Starts that differ by a name have the same. */
function slotOf(words: readonly string[], cwd: string): string {
  const unnamed = words.map((word, i) =>
    words[i - 1] === "--name" ? "" : word.startsWith("--name=") ? "--name=" : word,
  );
  const hash = hashOf(Buffer.from([...unnamed, cwd].join("\0"), "utf8"));
  return (hash & 0xff).toString(16).padStart(2, "0");
}
