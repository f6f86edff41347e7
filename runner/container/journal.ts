import { appendFileSync, closeSync, fstatSync, openSync, readSync, renameSync, statSync } from "node:fs";
import { join } from "node:path";

/** One thing that happened. Docker's words for types and actions. */
export interface JournalEntry {
  /** Nanoseconds since 1970. */
  time: string;
  type: "container" | "image" | "volume" | "builder";
  action: string;
  id: string;
  name?: string;
  image?: string;
  labels?: Record<string, string>;
  /** Fields of the action: `exitCode`, `signal`, `oldName`… */
  [field: string]: string | Record<string, string> | undefined;
}

/** Past this size the journal is set aside, and one older kept. */
const MOST = 4 << 20;

export function journalPath(root: string): string {
  return join(root, "journal");
}

export function containerActor(
  id: string,
  name: string,
  image: string,
  labels: Record<string, string>,
): Pick<JournalEntry, "id" | "name" | "image" | "labels"> {
  return { id, name, image, labels };
}

/** As the monitor puts them into its lines. */
export function actorFields(actor: object): string {
  return JSON.stringify(actor).slice(1, -1);
}

/** Adds a line. Failing is no error: the journal is told what happened, it does not make it happen. */
export function journal(
  root: string,
  entry: Pick<JournalEntry, "type" | "action" | "id"> & Partial<JournalEntry>,
): void {
  const path = journalPath(root);
  const time = String(BigInt(Date.now()) * 1_000_000n);
  try {
    appendFileSync(path, `${JSON.stringify({ time, ...entry })}\n`, { mode: 0o600 });
    if (statSync(path).size > MOST) renameSync(path, `${path}.1`);
  } catch {
    // a full disk, or a store that cannot be written
  }
}

/** Reads the journal as it grows: each call gives the lines since the last. */
export class JournalReader {
  readonly #path: string;
  #offset = 0;
  #inode = 0;
  #rest = "";

  constructor(root: string) {
    this.#path = journalPath(root);
  }

  /** What was set aside, too: for the first look back. */
  older(): JournalEntry[] {
    return this.#parse(readFrom(`${this.#path}.1`, 0)?.text ?? "");
  }

  read(): JournalEntry[] {
    const found = readFrom(this.#path, this.#offset, this.#inode);
    if (!found) return [];
    this.#inode = found.inode;
    this.#offset = found.end;
    const text = this.#rest + found.text;
    const end = text.lastIndexOf("\n") + 1;
    this.#rest = text.slice(end);
    return this.#parse(text.slice(0, end));
  }

  #parse(text: string): JournalEntry[] {
    return text.split("\n").flatMap((line) => {
      try {
        const entry = JSON.parse(line) as JournalEntry;
        return typeof entry.time === "string" && typeof entry.action === "string" ? [entry] : [];
      } catch {
        return [];
      }
    });
  }
}

/** From an offset to the end; from the start when it is another file by now. */
function readFrom(path: string, offset: number, inode = 0): { text: string; end: number; inode: number } | undefined {
  let fd: number;
  try {
    fd = openSync(path, "r");
  } catch {
    return undefined;
  }
  try {
    const stat = fstatSync(fd);
    const start = stat.ino === inode ? offset : 0;
    const buffer = Buffer.alloc(Math.max(0, stat.size - start));
    const count = readSync(fd, buffer, 0, buffer.length, start);
    return { text: buffer.toString("utf8", 0, count), end: start + count, inode: stat.ino };
  } finally {
    closeSync(fd);
  }
}
