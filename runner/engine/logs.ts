import { closeSync, fstatSync, openSync, readdirSync, readSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { TsboxError } from "../base/error.ts";
import { containerState } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { isShown } from "./list.ts";

export interface LogLine {
  /** RFC 3339 with nanoseconds. */
  time: string;
  stream: "stdout" | "stderr";
  /** False: the program's line goes on in the next one. */
  complete: boolean;
  text: string;
}

export interface LogsOptions {
  follow: boolean;
  /** The last lines only; absent: all. */
  tail?: number;
  /** RFC 3339 or anything Date reads; lines before it are left out. */
  since?: Date;
}

/** How often a log that is followed is looked at. */
const INTERVAL = 50;
const CHUNK = 1 << 16;

/**
 * What the container wrote, line by line, over all files that are left of it; with `follow` until it ends. Bytes are passed as latin1, so that none
 * is lost.
 */
export async function* logs(engine: Engine, word: string, options: LogsOptions): AsyncGenerator<LogLine> {
  const record = engine.containers.find(word);
  if (record.log?.driver === "none" || record.log?.driver === "passthrough") {
    throw new TsboxError(`Cannot show logs of container "${record.name}": its log driver is "${record.log.driver}"`, {
      code: "NO_LOGS",
      hint: "a container made without --log-driver keeps its output",
      exitCode: 1,
    });
  }
  const reader = new LogReader(engine.containers.dir(record.id));
  const wanted = (line: LogLine) => options.since === undefined || new Date(line.time) >= options.since;
  try {
    if (options.tail !== undefined) yield* lastLines(reader.read(), options.tail, wanted);
    for (;;) {
      // asked before reading: what is written before the end is then surely read
      const running = isShown(containerState(engine, record));
      for (const line of reader.read()) if (wanted(line)) yield line;
      if (!options.follow || !running) return;
      await sleep(INTERVAL);
    }
  } finally {
    reader.close();
  }
}

function lastLines(lines: Iterable<LogLine>, tail: number, wanted: (line: LogLine) => boolean): LogLine[] {
  const last: LogLine[] = [];
  let count = 0;
  for (const line of lines) {
    if (!wanted(line)) continue;
    last.push(line);
    if (line.complete) count++;
    // a line that goes on, or never ended, counts as well
    while (count + (line.complete ? 0 : 1) > tail && last.length > 0) if (last.shift()?.complete) count--;
  }
  return tail > 0 ? last : [];
}

/**
 * Reads a log that grows, and that the monitor sets aside as log.1, log.2… when it has its size. The file at hand stays open, so that its last lines are
 * read under whatever name.
 */
class LogReader {
  readonly #dir: string;
  #fd: number | undefined;
  #offset = 0;
  #rest = "";

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** The lines since the last call. */
  *read(): Generator<LogLine> {
    this.#fd ??= this.#open(this.#files()[0]);
    while (this.#fd !== undefined) {
      yield* this.#readOpen();
      // a newer file: this one is complete, but may have got its last lines just before
      const next = this.#newer(this.#fd);
      if (next === undefined) return;
      yield* this.#readOpen();
      const opened = this.#open(next.path);
      // set aside meanwhile: the name is another's by now
      if (opened !== undefined && fstatSync(opened).ino !== next.inode) {
        closeSync(opened);
        continue;
      }
      this.close();
      this.#fd = opened;
      this.#offset = 0;
    }
  }

  close(): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
    this.#fd = undefined;
  }

  /** Oldest first. */
  #files(): string[] {
    const number = (name: string) => Number(name.slice(4) || 0);
    try {
      return readdirSync(this.#dir)
        .filter((name) => /^log(\.\d+)?$/.test(name))
        .sort((a, b) => number(b) - number(a))
        .map((name) => join(this.#dir, name));
    } catch {
      return []; // removed just now
    }
  }

  /** The file after the open one; the oldest, if that has been removed meanwhile. */
  #newer(fd: number): { path: string; inode: number | undefined } | undefined {
    const files = this.#files().map((path) => ({ path, inode: inode(path) }));
    const own = fstatSync(fd);
    const at = files.findIndex((file) => file.inode === own.ino);
    // a log of one file is emptied instead
    if (at >= 0 && at === files.length - 1 && own.size < this.#offset) this.#offset = 0;
    return at < 0 ? files[0] : files[at + 1];
  }

  #open(path: string | undefined): number | undefined {
    try {
      return path === undefined ? undefined : openSync(path, "r");
    } catch {
      return undefined;
    }
  }

  *#readOpen(): Generator<LogLine> {
    const buffer = Buffer.alloc(CHUNK);
    for (;;) {
      const count = this.#fd === undefined ? 0 : readSync(this.#fd, buffer, 0, CHUNK, this.#offset);
      if (count === 0) return;
      this.#offset += count;
      // not readline: it ends lines at carriage returns, too; a line that is still being written waits for the next time
      const lines = (this.#rest + buffer.toString("latin1", 0, count)).split("\n");
      this.#rest = lines.pop() ?? "";
      for (const line of lines) {
        const found = /^(\S+) (stdout|stderr) ([FP]) (.*)$/s.exec(line);
        if (!found) continue;
        const [, time = "", name, flag, text = ""] = found;
        yield { time, stream: name as LogLine["stream"], complete: flag === "F", text };
      }
    }
  }
}

function inode(path: string): number | undefined {
  try {
    return statSync(path).ino;
  } catch {
    return undefined;
  }
}
