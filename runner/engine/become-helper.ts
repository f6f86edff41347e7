import { helperPath } from "../helper/locate.ts";
import type { Face } from "../helper/wire.ts";
import { replaceProcess } from "../sys/native.ts";

/** ctrl-p,ctrl-q */
export const DEFAULT_DETACH_KEYS: readonly number[] = [16, 17];

/** How a verb stands to a program that may go on without it: the monitor is a process of its own, and the verb its first client. */
export function attachedFace(options: { tty: boolean; keys: readonly number[]; stdin: boolean }): Face {
  const { tty, keys, stdin } = options;
  return { detach: true, attached: { keys, flags: stdin ? ["stdin"] : [] }, signalProxy: !tty };
}

/** Replaces this process by the helper at work on a plan; after `once`, which has the helper remove the plan's file when it is read, settings may follow. */
export function becomeHelper(planPath: string, ...words: string[]): never {
  return replaceProcess(helperPath(), ["tsbox-helper", "run", planPath, ...words]);
}
