/** A verb: its declared flags and words, and what it does. Parsing, help and errors follow from the declaration. */

import { TsboxError } from "../base/error.ts";
import { type Engine, openEngine } from "../engine/engine.ts";
import type { LockOptions } from "../engine/lock/policy.ts";
import { type Parsed, parseArgv } from "./argv.ts";
import { type Context, changed, warn } from "./context.ts";
import { boolean, type Flags, string } from "./flags.ts";
import { UsageError } from "./usage-error.ts";

export interface VerbText {
  name: string;
  /** The words after the flags: `IMAGE [COMMAND [ARG…]]`. */
  usage: string;
  /** One sentence. */
  summary: string;
  /** More, where the sentence is not enough. */
  description?: string;
  flags: Flags;
  /** Command lines, each with what it does. */
  examples: readonly (readonly [command: string, effect: string])[];
}

interface VerbRules extends VerbText {
  /** How many words it takes. */
  words: { min: number; max?: number };
  /** It starts a program: words after the first are the program's, and 125 tells tsbox's failures from the program's. */
  startsProgram?: boolean;
  /** It listens to the context's signal and removes what it half made; any other verb is left where it stands. */
  cleansUp?: boolean;
  /** It changes containers or volumes: afterwards those are swept that were to remove themselves and whose monitor was killed. */
  sweeps?: boolean;
}

export interface VerbSpec<F extends Flags> extends VerbRules {
  flags: F;
  act(parsed: Parsed<F>, context: Context): Promise<number | undefined> | Promise<void>;
}

/** A verb whose flag types are its own business. */
export interface Verb {
  text: VerbText;
  /** Resolves with the exit status. */
  run(argv: readonly string[], context: Context): Promise<number>;
}

/** Understood before and after every verb. */
export const GLOBAL_FLAGS = {
  root: string({
    placeholder: "DIR",
    group: "Global flags",
    help: "folder of the store (default ~/.local/share/tsbox)",
  }),
  storageDriver: string({
    placeholder: "NAME",
    group: "Global flags",
    help: "overlay, fuse-overlayfs or copy (default: what works here)",
  }),
  debug: boolean({ group: "Global flags", help: "show where an error came from" }),
  help: boolean({ group: "Global flags", help: "show this text" }),
};

export function defineVerb<F extends Flags>(spec: VerbSpec<F>): Verb {
  const flags = withGlobalFlags(spec.flags);
  const command = `tsbox ${spec.name}`;
  const rules = { command, cutAtFirstWord: spec.startsProgram ?? false };
  return {
    text: { ...spec, flags },
    async run(argv, outer) {
      const parsed = parseArgv(argv, flags, rules);
      if (parsed.flags.help) {
        const { verbHelp } = await import("./help.ts");
        outer.stdout.write(verbHelp({ ...spec, flags }));
        return 0;
      }
      const context = changed(outer, {
        root: parsed.flags.root ?? outer.root,
        debug: parsed.flags.debug || outer.debug,
      });
      try {
        checkWordCount(spec, parsed.words.length);
        const work: Promise<unknown> = spec.act(parsed as unknown as Parsed<F>, context);
        const status = await (spec.cleansUp ? work : Promise.race([work, aborted(context)]));
        if (spec.sweeps) await sweepLost(context);
        return typeof status === "number" ? status : 0;
      } catch (error) {
        throw withStatus(error, spec);
      }
    },
  };
}

/** Rejects when the signal comes. It is looked at in the next turn: a verb that has become the helper by then never needed it. */
function aborted(context: Context): Promise<never> {
  return new Promise((_, reject) => {
    setImmediate(() => {
      const { signal } = context;
      if (signal.aborted) reject(signal.reason);
      else signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
  });
}

/** What cannot be removed now stays for the next time. */
async function sweepLost(context: Context): Promise<void> {
  const { sweepContainers } = await import("../engine/gc.ts");
  await sweepContainers(engineOf(context)).catch(() => {});
}

function withGlobalFlags<F extends Flags>(flags: F): F & typeof GLOBAL_FLAGS {
  const usesH = Object.values(flags).some((flag) => flag.short === "h");
  return { ...flags, ...GLOBAL_FLAGS, help: usesH ? GLOBAL_FLAGS.help : { ...GLOBAL_FLAGS.help, short: "h" } };
}

function checkWordCount(spec: VerbRules, count: number): void {
  const { min, max } = spec.words;
  if (count >= min && (max === undefined || spec.startsProgram || count <= max)) return;
  const few = count < min;
  const limit = few ? min : (max ?? 0);
  const wanted = `${few && max !== min ? "at least " : ""}${limit === 0 ? "no" : limit} word${limit === 1 ? "" : "s"}`;
  throw new UsageError(`Cannot run tsbox ${spec.name}: it takes ${wanted}, got ${count}`, {
    hint: `usage: tsbox ${spec.name} [FLAGS]${spec.usage === "" ? "" : ` ${spec.usage}`}`,
    exitCode: spec.startsProgram ? 125 : 1,
  });
}

/**
 * Docker's habit: where a program's status is passed on, 125 says that tsbox failed; any other verb fails with 1. A wrong flag
 * (raised while parsing, before this) is 125 everywhere.
 */
function withStatus(error: unknown, spec: VerbRules): unknown {
  if (spec.startsProgram || !(error instanceof TsboxError) || error.exitCode !== 125 || error.code === "USAGE")
    return error;
  return new Restated(error);
}

/** The same error with status 1; the original is what is printed. */
export class Restated {
  readonly exitCode = 1;
  constructor(readonly error: TsboxError) {}
}

/** The engine, which says its warnings on standard error. */
export function engineOf(context: Context, lock: LockOptions = {}): Engine {
  return openEngine({
    ...(context.root === undefined ? {} : { root: context.root }),
    ...(context.storageDriver === undefined ? {} : { storageDriver: context.storageDriver }),
    ...lock,
    env: context.env,
    warn: (line) => warn(context, line),
  });
}

/** Containers that a verb works on at once: most of the time it waits for the kernel, or for a program to end. */
export const AT_ONCE = 8;

/**
 * Does the same to several things, going on after a failure: docker prints each word that succeeded as it was given, and fails
 * with 1 when one did not. With `atOnce`, so many are begun before the first is done; what is told keeps its order.
 */
export async function forEachWord(
  words: readonly string[],
  context: Context,
  act: (word: string) => Promise<unknown>,
  { atOnce = 1 }: { atOnce?: number } = {},
): Promise<number> {
  let status = 0;
  // the second of a pair finds what the first has done
  const width = new Set(words).size < words.length ? 1 : atOnce;
  const begun: Promise<{ error?: unknown }>[] = [];
  for (const [number, word] of words.entries()) {
    context.signal.throwIfAborted();
    for (const next of words.slice(begun.length, number + width)) {
      begun.push(
        act(next).then(
          () => ({}),
          (error: unknown) => ({ error }),
        ),
      );
    }
    const outcome = (await begun[number]) ?? {};
    if (!("error" in outcome)) {
      context.stdout.write(`${word}\n`);
      continue;
    }
    if (context.signal.aborted) {
      await Promise.all(begun);
      throw outcome.error;
    }
    const { errorText } = await import("./print-error.ts");
    context.stderr.write(errorText(outcome.error, context.debug));
    status = 1;
  }
  return status;
}
