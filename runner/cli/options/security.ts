/** `--security-opt seccomp=FILE|unconfined`, `no-new-privileges[=false]`, and what other engines' scripts say. */

import { posix } from "node:path";
import type { RunOptions } from "../../engine/run-options.ts";
import { UsageError } from "../usage-error.ts";

export interface SecurityOptions {
  seccomp?: NonNullable<RunOptions["seccomp"]>;
  noNewPrivileges: boolean;
  /** Paths of /proc and /sys to hide as well; and those (or `ALL`) that are left as they are. */
  mask: string[];
  unmask: string[];
  /** Options that were accepted and change nothing here, for one line of warning. */
  withoutEffect: string[];
}

export function parseSecurityOptions(words: readonly string[], cwd: string): SecurityOptions {
  const options: SecurityOptions = { noNewPrivileges: true, mask: [], unmask: [], withoutEffect: [] };
  for (const word of words) {
    // Docker still reads the older form with a colon.
    const [, key = word, value] = /^([^=:]+)[=:](.*)$/.exec(word) ?? [];
    if (key === "seccomp") options.seccomp = seccomp(value, cwd, options);
    else if (key === "no-new-privileges") options.noNewPrivileges = isTrue(word, value ?? "true");
    else if (key === "mask") options.mask.push(...paths(word, value));
    else if (key === "unmask") options.unmask.push(...(value === "ALL" ? ["ALL"] : paths(word, value)));
    else if (word === "systempaths=unconfined") options.unmask.push("ALL");
    else if (key === "label" || key === "apparmor") options.withoutEffect.push(word);
    else {
      throw new UsageError(`Cannot use --security-opt "${word}": unknown option`, {
        hint: "known are seccomp=FILE, seccomp=unconfined, no-new-privileges[=false], mask=PATH, unmask=PATH|ALL, systempaths=unconfined, label=…, apparmor=…",
      });
    }
    if (options.seccomp === undefined) delete options.seccomp;
  }
  return options;
}

function seccomp(
  value: string | undefined,
  cwd: string,
  options: SecurityOptions,
): SecurityOptions["seccomp"] | undefined {
  if (!value) {
    throw new UsageError("Cannot use --security-opt seccomp: it needs a profile", {
      hint: "write seccomp=FILE or seccomp=unconfined",
    });
  }
  delete options.seccomp;
  if (value === "builtin" || value === "default") return undefined;
  return value === "unconfined" ? value : { profile: posix.resolve(cwd, value) };
}

/** One or more, with colons between. */
function paths(word: string, value = ""): string[] {
  const given = value.split(":");
  if (given.every((path) => path.startsWith("/") && !path.includes(".."))) return given;
  throw new UsageError(`Cannot use --security-opt "${word}": expected absolute paths with ":" between`);
}

function isTrue(word: string, value: string): boolean {
  if (value === "true" || value === "1") return true;
  if (value === "false" || value === "0") return false;
  throw new UsageError(`Cannot use --security-opt "${word}": expected true or false`);
}
