import { createReadStream, existsSync, statSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
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

/** What the container wrote, line by line; with `follow` until it ends. Bytes are passed as latin1, so that none is lost. */
export async function* logs(engine: Engine, word: string, options: LogsOptions): AsyncGenerator<LogLine> {
  const record = engine.containers.find(word);
  const path = join(engine.containers.dir(record.id), "log");
  const wanted = (line: LogLine) => options.since === undefined || new Date(line.time) >= options.since;
  let offset = 0;
  if (options.tail !== undefined) {
    const last: LogLine[] = [];
    let count = 0;
    for await (const line of readLines(path, 0)) {
      offset = line.end;
      if (!wanted(line)) continue;
      last.push(line);
      if (line.complete) count++;
      // a line that goes on, or never ended, counts as well
      while (count + (line.complete ? 0 : 1) > options.tail && last.length > 0) if (last.shift()?.complete) count--;
    }
    if (options.tail > 0) yield* last;
  }
  for (;;) {
    // asked before reading: what is written before the end is then surely read
    const running = isShown(containerState(engine, record));
    for await (const line of readLines(path, offset)) {
      offset = line.end;
      if (wanted(line)) yield line;
    }
    if (!options.follow || !running) return;
    while (existsSync(path) && statSync(path).size === offset && isShown(containerState(engine, record)))
      await sleep(50);
  }
}

/** Whole lines from an offset; a line that is still being written is left for the next time. */
async function* readLines(path: string, start: number): AsyncGenerator<LogLine & { end: number }> {
  if (!existsSync(path)) return;
  const size = statSync(path).size;
  if (size <= start) return;
  let end = start;
  let rest = "";
  // not readline: it ends lines at carriage returns, too
  for await (const chunk of createReadStream(path, { start, end: size - 1, encoding: "latin1" })) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      end += line.length + 1;
      const found = /^(\S+) (stdout|stderr) ([FP]) (.*)$/s.exec(line);
      if (!found) continue;
      const [, time = "", name, flag, text = ""] = found;
      yield { time, stream: name as LogLine["stream"], complete: flag === "F", text, end };
    }
  }
}
