/** What `run` and `exec` are both told of the program. */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { ExecOptions, ProcessOptions } from "../engine/run-options.ts";
import type { Parsed } from "./argv.ts";
import type { FlagValues } from "./flags.ts";
import { parseEnvFile, resolveEnvironment } from "./options/environment.ts";
import type { EXEC_FLAGS, PROCESS_FLAGS } from "./process-flags.ts";
import { UsageError } from "./usage-error.ts";

/** What the flags are read against. */
export interface Surroundings {
  env: Readonly<Record<string, string | undefined>>;
  cwd: string;
}

export function readExec(parsed: Parsed<typeof EXEC_FLAGS>, around: Surroundings): ExecOptions {
  const [container = "", ...command] = parsed.words;
  return { ...readProcess(parsed.flags, around), container, command, privileged: parsed.flags.privileged };
}

export function readProcess(flags: FlagValues<typeof PROCESS_FLAGS>, around: Surroundings): ProcessOptions {
  const fromFiles = flags.envFile.flatMap((path) => parseEnvFile(readTextFile(path, around.cwd), path, around.env));
  const { env, unsetEnv } = resolveEnvironment(flags.env, around.env);
  return {
    detach: flags.detach,
    interactive: flags.interactive,
    tty: flags.tty,
    ...present("detachKeys", flags.detachKeys),
    env: [...fromFiles, ...env],
    unsetEnv,
    ...present("user", flags.user),
    ...present("workdir", flags.workdir),
  };
}

export function readTextFile(path: string, cwd: string): string {
  try {
    return readFileSync(resolve(cwd, path), "utf8");
  } catch (cause) {
    const missing = (cause as NodeJS.ErrnoException).code === "ENOENT";
    throw new UsageError(`Cannot read "${path}": ${missing ? "it does not exist" : (cause as Error).message}`, {
      cause,
    });
  }
}

/** `{ [key]: value }`, or nothing: an absent option is absent, not undefined. */
export function present<K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: T };
}
