/** `--log-driver` and `--log-opt`. */

import type { LogOptions } from "../../engine/run-options.ts";
import { parseBytes } from "../units.ts";
import { UsageError } from "../usage-error.ts";

const FILE_DRIVERS = ["json-file", "k8s-file", "local"];
const DRIVERS = [...FILE_DRIVERS, "none", "passthrough"];
/** Accepted, without effect: they say what a file's lines look like elsewhere. */
const IGNORED = ["tag", "labels", "labels-regex", "env", "env-regex", "compress", "mode", "max-buffer-size"];

export function parseLogDriver(text: string): string {
  if (DRIVERS.includes(text)) return text;
  throw new UsageError(`expected ${DRIVERS.join(", ")}`, {
    hint: 'logs are files of the container here; "tsbox logs -f" passes them on',
  });
}

/** Docker's own defaults: one file without a limit. */
export function readLog(driver: string | undefined, words: readonly string[]): LogOptions | undefined {
  if (driver === undefined && words.length === 0) return undefined;
  const log: LogOptions = { driver: driver ?? "k8s-file" };
  for (const word of words) {
    const [, key = "", text = ""] = /^([\w-]+)=(.*)$/.exec(word) ?? [];
    if (key === "max-size") log.maxSize = text === "-1" ? 0 : parseBytes(text);
    else if (key === "max-file") log.maxFiles = files(text);
    else if (!IGNORED.includes(key)) {
      throw new UsageError(`Cannot read --log-opt "${word}": expected max-size=SIZE or max-file=N`);
    }
  }
  if ((log.maxFiles ?? 1) > 1 && !log.maxSize) {
    throw new UsageError("Cannot use --log-opt max-file without max-size: nothing would start another file");
  }
  return log;
}

function files(text: string): number {
  const count = Number(text);
  if (!/^\d+$/.test(text) || count < 1 || count > 1000) {
    throw new UsageError(`Cannot read --log-opt max-file "${text}": expected a number from 1 to 1000`);
  }
  return count;
}
