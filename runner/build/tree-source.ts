import { createHash } from "node:crypto";
import { type StepCache, stepKey } from "../store/build-cache.ts";
import { isSettled } from "./context/hash-cache.ts";
import type { Found, SourceEntry, SourceTree } from "./context/source-tree.ts";
import { collect, entryLine } from "./copy-files.ts";

/** What is known of a file: memories of less than that, by versions before, are not good. */
export const ENTRIES = "attributes and links";

/**
 * A place of a tree that is copied. What a step's key needs of it is the digest of all names, modes, owners and contents; as long as the file system
 * tells the same of every file, it is the one of the last build, and no file is even looked up by itself.
 */
export class TreeSource {
  readonly kind = "tree";
  readonly tree: SourceTree;
  readonly found: Found;
  /** The name it gets: its last component, with --parents all of them. */
  readonly named: string;
  readonly #exclude: string[];
  readonly #cache: StepCache;
  readonly #onChange: () => void;
  #entries: Promise<SourceEntry[]> | undefined;
  #lines: Promise<string[]> | undefined;

  /** `onChange` is told when something is not as it was: a step will be made. */
  constructor(
    tree: SourceTree,
    found: Found,
    named: string,
    exclude: string[],
    cache: StepCache,
    onChange: () => void = () => {},
  ) {
    this.tree = tree;
    this.found = found;
    this.named = named;
    this.#exclude = exclude;
    this.#cache = cache;
    this.#onChange = onChange;
  }

  entries(): Promise<SourceEntry[]> {
    this.#entries ??= collect(this.tree, this.found, this.#exclude);
    return this.#entries;
  }

  /** A line for each file that counts: what it is, its mode, owner and content; never its times. */
  lines(): Promise<string[]> {
    this.#lines ??= this.entries().then((entries) =>
      entries.map((entry) => entryLine(entry.path === "" ? this.named : `${this.named}/${entry.path}`, entry)),
    );
    return this.#lines;
  }

  /** The digest of the lines. */
  async digest(): Promise<string> {
    const { tree, found } = this;
    const started = Date.now();
    const fingerprint = tree.lasting ? tree.fingerprint?.(found) : undefined;
    if (fingerprint === undefined) return digestOf(await this.lines());
    const name = stepKey({
      kind: ENTRIES,
      root: tree.root ?? "",
      place: [found.path, this.named],
      exclude: this.#exclude,
      ignored: tree.ignored ?? "",
    });
    const known = this.#cache.read<{ fingerprint: string; digest: string }>("scans", name);
    if (known?.fingerprint === fingerprint) return known.digest;
    if (known) this.#onChange();
    const digest = digestOf(await this.lines());
    const entries = await this.entries();
    // a file of this very moment could change once more and look the same
    if (entries.every(({ stamp }) => stamp === undefined || isSettled(stamp, started)))
      this.#cache.write("scans", name, { fingerprint, digest });
    return digest;
  }
}

function digestOf(lines: string[]): string {
  const hash = createHash("sha256");
  for (const line of lines) hash.update(line).update("\n");
  return hash.digest("hex");
}
