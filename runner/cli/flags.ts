/** Declared flags: what a verb understands, how a value is read, and what help says about it. */

import { parseBytes, parseDuration } from "./units.ts";
import { UsageError } from "./usage-error.ts";

export interface FlagText {
  /** One letter. */
  short?: string;
  /** Other long names, without dashes. */
  aliases?: string[];
  /** One line for help. */
  help: string;
  /** Heading in help; flags without one come first. */
  group?: string;
  /** What stands for the value in help: `DIR`. */
  placeholder?: string;
  /** Works, but is not shown in help. */
  hidden?: boolean;
}

/** One flag. Its long name is the key in the verb's table, in kebab-case. */
export interface Flag<T> extends FlagText {
  takesValue: boolean;
  repeats: boolean;
  /** From the values as typed, in order (none: the flag was absent), to what the verb works with. */
  read(values: string[], shown: string): T;
}

// biome-ignore lint/suspicious/noExplicitAny: the table is heterogeneous; FlagValues gives each entry its own type back
export type Flags = Record<string, Flag<any>>;

export type FlagValues<F extends Flags> = { [K in keyof F]: ReturnType<F[K]["read"]> };

/** `noTrunc` → `no-trunc`. */
export function longName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function invalid(shown: string, value: string, why: string): UsageError {
  return new UsageError(`Cannot read ${shown}: ${why}, got ${JSON.stringify(value)}`);
}

/** Calls a value parser and puts the flag's name before what it complains about. */
export function parsed<T>(parse: (value: string) => T, value: string, shown: string): T {
  try {
    return parse(value);
  } catch (error) {
    if (error instanceof UsageError) {
      throw new UsageError(`Cannot read ${shown} ${JSON.stringify(value)}: ${error.message}`, {
        ...(error.hint === undefined ? {} : { hint: error.hint }),
      });
    }
    throw error;
  }
}

const TRUE = new Set(["true", "1", "t", "T", "TRUE", "True"]);
const FALSE = new Set(["false", "0", "f", "F", "FALSE", "False"]);

export function boolean(text: FlagText & { default?: boolean }): Flag<boolean> {
  return {
    ...text,
    takesValue: false,
    repeats: false,
    read(values, shown) {
      const value = values.at(-1);
      if (value === undefined) return text.default ?? false;
      if (TRUE.has(value)) return true;
      if (FALSE.has(value)) return false;
      throw invalid(shown, value, "expected true or false");
    },
  };
}

/** A flag with one value, read by `parse`; the last one given wins. */
export function value<T>(parse: (text: string) => T, text: FlagText): Flag<T | undefined> {
  return {
    placeholder: "VALUE",
    ...text,
    takesValue: true,
    repeats: false,
    read(values, shown) {
      const last = values.at(-1);
      return last === undefined ? undefined : parsed(parse, last, shown);
    },
  };
}

/** A flag that may be repeated, each value read by `parse`. */
export function list<T = string>(text: FlagText, parse?: (text: string) => T): Flag<T[]> {
  return {
    placeholder: "VALUE",
    ...text,
    takesValue: true,
    repeats: true,
    read: (values, shown) => values.map((one) => (parse ? parsed(parse, one, shown) : (one as T))),
  };
}

export function string(text: FlagText): Flag<string | undefined> {
  return value((given) => given, text);
}

export function choice<const C extends string>(choices: readonly C[], text: FlagText): Flag<C | undefined> {
  return value(
    (given) => {
      const found = choices.find((one) => one === given);
      if (found === undefined) throw new UsageError(`expected ${choices.join(", ")}`);
      return found;
    },
    { placeholder: choices.join("|"), ...text },
  );
}

export function number(text: FlagText & { min?: number; max?: number }): Flag<number | undefined> {
  return value(
    (given) => {
      const { min = Number.MIN_SAFE_INTEGER, max = Number.MAX_SAFE_INTEGER } = text;
      const n = /^[+-]?\d+$/.test(given) ? Number(given) : Number.NaN;
      if (!(n >= min && n <= max)) throw new UsageError(describeRange(text.min, text.max));
      return n;
    },
    { placeholder: "N", ...text },
  );
}

function describeRange(min: number | undefined, max: number | undefined): string {
  if (min !== undefined && max !== undefined) return `expected a whole number from ${min} to ${max}`;
  return min === undefined ? "expected a whole number" : `expected a whole number of at least ${min}`;
}

/** Milliseconds; a bare number counts seconds, as in docker and podman. */
export function duration(text: FlagText): Flag<number | undefined> {
  return value(parseDuration, { placeholder: "DURATION", ...text });
}

export function bytes(text: FlagText): Flag<number | undefined> {
  return value(parseBytes, { placeholder: "SIZE", ...text });
}
