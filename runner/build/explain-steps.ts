import { createHash } from "node:crypto";
import type { KeyParts, StepCache } from "../store/build-cache.ts";

/** The key parts of every step of a build, by stage and number. */
type LastBuild = Record<string, { key: string; parts: KeyParts }>;

/** So many files of a step are remembered by name; of more only that something changed. */
const MAX_FILES = 20_000;

/** What is known of a step before it is made. */
export interface ExplainedStep {
  /** Its stage and number. */
  place: string;
  key: string;
  parts: KeyParts;
  hit: boolean;
  useCache: boolean;
  /** A line for each file that it copies. */
  files?: () => Promise<string[]>;
}

/** Says why a step was not in the cache, by comparing what it depends on with the last build of the same file. */
export class Explainer {
  readonly #cache: StepCache;
  readonly #name: string;
  readonly #last: LastBuild;
  readonly #now: LastBuild = {};
  readonly #wanted: boolean;

  /** `what` names the build: its Dockerfile and context. */
  constructor(cache: StepCache, what: string, wanted: boolean) {
    this.#cache = cache;
    this.#wanted = wanted;
    this.#name = createHash("sha256").update(what).digest("hex");
    this.#last = cache.read<LastBuild>("last", this.#name) ?? {};
  }

  async reason(step: ExplainedStep): Promise<string | undefined> {
    const { place, key, parts, hit } = step;
    const last = this.#last[place];
    const changed = JSON.stringify(last?.parts.content) !== JSON.stringify(parts.content);
    this.#now[place] = { key, parts };
    // the names of files are many: kept apart, and looked at only where they tell something new
    const was = this.#wanted && changed ? this.#cache.read<string[]>("files", this.#filesOf(place)) : undefined;
    const is = changed ? await this.#files(step) : undefined;
    if (is) this.#cache.write("files", this.#filesOf(place), is);
    if (!this.#wanted) return undefined;
    if (hit) return parts.link ? "in the cache: with --link the steps before it do not count" : "in the cache";
    if (!step.useCache) return "made anew, as --no-cache says";
    if (!last) return "there was no such step in the last build of this file";
    if (last.key === key) return "what it made is no longer in the store";
    const reasons = Object.keys({ ...parts, ...last.parts }).flatMap((name) => {
      const [before, after] = [last.parts[name], parts[name]];
      if (JSON.stringify(before) === JSON.stringify(after)) return [];
      if (name === "link") return [after ? "it has --link now" : "it has no --link any more"];
      // that comes of it
      if (name === "parent" && last.parts.link !== parts.link) return [];
      return [name === "content" && was && is ? files(was, is) : difference(name, before, after)];
    });
    return reasons.join("; ") || "it never ended";
  }

  async #files({ files }: ExplainedStep): Promise<string[] | undefined> {
    const lines = await files?.();
    return lines && lines.length <= MAX_FILES ? lines : undefined;
  }

  #filesOf(place: string): string {
    return createHash("sha256").update(`${this.#name} ${place}`).digest("hex");
  }

  /** Remembers the steps of this build; those of stages that were not built stay. */
  save(): void {
    const last = this.#last;
    const next = { ...last, ...this.#now };
    const keys = (build: LastBuild) =>
      JSON.stringify(
        Object.entries(build)
          .map(([place, { key }]) => [place, key])
          .sort(),
      );
    if (keys(next) !== keys(last)) this.#cache.write("last", this.#name, next);
  }
}

function difference(name: string, was: string | string[] | undefined, is: string | string[] | undefined): string {
  if (name === "parent") return "the step before made something else";
  if (name === "content") return "its files changed";
  const show = (value: string | string[] | undefined) =>
    JSON.stringify(Array.isArray(value) ? value.join(" ") : (value ?? ""));
  return `its ${name} was ${shortened(show(was))}, is ${shortened(show(is))}`;
}

function files(was: string[], is: string[]): string {
  const nameOf = (line: string) => /"(?:[^"\\]|\\.)*"$/.exec(line)?.[0] ?? line;
  const before = new Map(was.map((line) => [nameOf(line), line]));
  const after = new Map(is.map((line) => [nameOf(line), line]));
  const changed = [...after]
    .filter(([name, line]) => before.has(name) && before.get(name) !== line)
    .map(([name]) => name);
  const added = [...after.keys()].filter((name) => !before.has(name));
  const gone = [...before.keys()].filter((name) => !after.has(name));
  const told = [
    changed.length > 0 ? `${some(changed)} changed` : "",
    added.length > 0 ? `${some(added)} came` : "",
    gone.length > 0 ? `${some(gone)} went` : "",
  ];
  return told.filter(Boolean).join(", ") || "the order of its files changed";
}

function some(names: string[]): string {
  const shown = names.slice(0, 3).join(", ");
  return names.length > 3 ? `${shown} and ${names.length - 3} more` : shown;
}

function shortened(text: string): string {
  return text.length > 160 ? `${text.slice(0, 157)}…"` : text;
}
