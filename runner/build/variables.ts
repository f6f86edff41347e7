import type { Platform } from "../oci/types.ts";
import { ExpansionError, expandText, expandWord, type Lookup } from "./dockerfile/expand.ts";
import { DockerfileError, type Source, type Span } from "./dockerfile/source.ts";
import type { Text } from "./dockerfile/types.ts";

/** Build arguments that need no ARG in RUN, and leave no trace in the image. */
export const PREDEFINED = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"].flatMap((name) => [
  name,
  name.toLowerCase(),
]);

/** What a build knows of platforms: usable in every FROM, and in a stage behind `ARG NAME`. */
export function platformArgs(build: Platform, target: Platform, stage: string): Record<string, string> {
  const form = (name: string, platform: Platform) => ({
    [`${name}PLATFORM`]: [platform.os, platform.architecture, platform.variant].filter(Boolean).join("/"),
    [`${name}OS`]: platform.os,
    [`${name}ARCH`]: platform.architecture,
    [`${name}VARIANT`]: platform.variant ?? "",
  });
  return { ...form("BUILD", build), ...form("TARGET", target), TARGETSTAGE: stage };
}

/** Expands words of one file; what goes wrong is told with its place. */
export class Expander {
  readonly #source: Source;
  readonly #escapeChar: string;

  constructor(source: Source, escapeChar: string) {
    this.#source = source;
    this.#escapeChar = escapeChar;
  }

  word({ text, span }: Text, lookup: Lookup): string {
    return this.#told(span, () => expandWord(text, lookup, this.#escapeChar));
  }

  /** A word that may become several, or none. */
  words(word: Text, lookup: Lookup): string[] {
    return this.word(word, lookup).split(/\s+/).filter(Boolean);
  }

  text(text: string, span: Span, lookup: Lookup): string {
    return this.#told(span, () => expandText(text, lookup, this.#escapeChar));
  }

  #told<T>(span: Span, expand: () => T): T {
    try {
      return expand();
    } catch (error) {
      if (error instanceof ExpansionError) throw new DockerfileError(this.#source, span, error.message);
      throw error;
    }
  }
}

/** The variables of a stage as it goes: ENV wins over ARG, whatever comes first. */
export class Variables {
  readonly args = new Map<string, string>();
  env = new Map<string, string>();

  readonly lookup: Lookup = (name) => this.env.get(name) ?? this.args.get(name);

  setEnv(list: string[]): void {
    this.env = new Map(list.map((one) => [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)]));
  }

  /** `NAME=VALUE` of the arguments that a RUN sees, in the order of their declaration. */
  visibleArgs(): string[] {
    return [...this.args].filter(([name]) => !this.env.has(name)).map(([name, value]) => `${name}=${value}`);
  }
}
