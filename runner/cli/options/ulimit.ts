/** `--ulimit NAME=SOFT[:HARD]` */

import type { Ulimit } from "../../engine/run-options.ts";
import { nearest } from "../suggest.ts";
import { UsageError } from "../usage-error.ts";

/** The resources of setrlimit(2), by the names that prlimit(1), docker and podman use. */
const NAMES = [
  "as",
  "core",
  "cpu",
  "data",
  "fsize",
  "locks",
  "memlock",
  "msgqueue",
  "nice",
  "nofile",
  "nproc",
  "rss",
  "rtprio",
  "rttime",
  "sigpending",
  "stack",
];

export function parseUlimit(text: string): Ulimit {
  const match = /^([^=]+)=([^:]+)(?::([^:]+))?$/.exec(text);
  if (match === null) throw new UsageError("expected NAME=SOFT[:HARD]");
  const name = (match[1] ?? "").toLowerCase().replace(/^rlimit_/, "");
  if (!NAMES.includes(name)) {
    const near = nearest(name, NAMES);
    throw new UsageError(`unknown limit "${name}"`, {
      hint: near === undefined ? `known are ${NAMES.join(", ")}` : `did you mean "${near}"?`,
    });
  }
  const soft = limitValue(match[2] ?? "");
  const hard = match[3] === undefined ? soft : limitValue(match[3]);
  if (hard !== "unlimited" && (soft === "unlimited" || soft > hard)) {
    throw new UsageError(`the soft limit ${soft} is above the hard limit ${hard}`);
  }
  return { name, soft, hard };
}

function limitValue(text: string): number | "unlimited" {
  if (text === "-1" || text === "unlimited" || text === "infinity") return "unlimited";
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(Number(text))) {
    throw new UsageError(`a limit is a whole number or "unlimited", got "${text}"`);
  }
  return Number(text);
}
