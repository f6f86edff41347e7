import {
  type BigIntStats,
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  realpathSync,
} from "node:fs";
import { join } from "node:path";
import { TsboxError, visible } from "../../base/error.ts";
import { type LayerRecord, layerRecord, RecordKind } from "../../layers/abi.ts";
import { cleanPath, hasWildcards, matchesName } from "../glob.ts";
import type { Ignore } from "../ignore.ts";
import type { HashCache } from "./hash-cache.ts";
import type { Found, SourceEntry, SourceTree } from "./source-tree.ts";

/** The name is there, but leads where nothing may be copied from; the caller knows where it was written. */
export class OutsideContext extends TsboxError {}

const MAX_LINKS = 40;

/** A folder of the host as a build's context. What lies in it belongs to root in the image, as Docker has it. */
export class LocalTree implements SourceTree {
  readonly name: string;
  /** The folder, links followed. */
  readonly root: string;
  readonly #ignore: Ignore;
  readonly #hashes: HashCache;

  constructor(root: string, ignore: Ignore, hashes: HashCache, name = "the context") {
    this.root = realpathSync(root);
    this.#ignore = ignore;
    this.#hashes = hashes;
    this.name = name;
  }

  find(pattern: string): Found[] {
    const clean = cleanPath(pattern);
    if (clean === undefined) throw new OutsideContext(`"${visible(pattern)}" leads out of ${this.name}`);
    if (!hasWildcards(clean)) {
      const found = this.#follow(clean, clean);
      return found ? [found] : [];
    }
    return this.#glob(clean.split("/"), "", "");
  }

  /** `at` is where the search stands, links followed; `named` how it came there. */
  #glob(parts: string[], at: string, named: string): Found[] {
    const [part, ...rest] = parts;
    if (part === undefined) {
      const found = this.#follow(named, named);
      return found ? [found] : [];
    }
    if (part === "**") {
      const below = this.#names(at).flatMap((name) => {
        const path = join(named, name);
        const next = this.#follow(path, path, false);
        return next?.kind === "directory" ? this.#glob(parts, next.path, path) : [];
      });
      return [...this.#glob(rest, at, named), ...below].filter(
        (one, index, all) => all.findIndex((other) => other.named === one.named) === index,
      );
    }
    const names = hasWildcards(part) ? this.#names(at).filter((name) => matchesName(part, name)) : [part];
    return names.flatMap((name) => {
      const path = join(named, name);
      if (rest.length > 0) {
        const next = this.#follow(path, path);
        return next?.kind === "directory" ? this.#glob(rest, next.path, path) : [];
      }
      const found = this.#follow(path, path);
      return found ? [found] : [];
    });
  }

  #names(folder: string): string[] {
    try {
      return readdirSync(join(this.root, folder)).sort();
    } catch {
      return [];
    }
  }

  /** Follows links, each as if the context were `/`; one that leads out of it is refused, not bent. */
  #follow(path: string, named: string, followLast = true): Found | undefined {
    let at: string[] = [];
    const rest = path.split("/").filter(Boolean);
    for (let links = 0; rest.length > 0; ) {
      const part = rest.shift() as string;
      if (part === "..") {
        if (at.pop() === undefined) throw this.#leadsOut(named);
        continue;
      }
      const next = [...at, part];
      const stats = lstatSync(join(this.root, ...next), { throwIfNoEntry: false });
      if (!stats) return undefined;
      if (!stats.isSymbolicLink() || (rest.length === 0 && !followLast)) {
        at = next;
        continue;
      }
      if (++links > MAX_LINKS) throw new OutsideContext(`"${visible(named)}" is a link that leads to itself`);
      const target = readlinkSync(join(this.root, ...next));
      if (target.startsWith("/")) {
        if (target !== this.root && !target.startsWith(`${this.root}/`)) throw this.#leadsOut(named, target);
        at = [];
        rest.unshift(...target.slice(this.root.length).split("/").filter(Boolean));
      } else rest.unshift(...target.split("/").filter((one) => one !== "" && one !== "."));
    }
    const where = at.join("/");
    const stats = lstatSync(join(this.root, where), { throwIfNoEntry: false });
    if (!stats) return undefined;
    const kind = stats.isDirectory()
      ? "directory"
      : stats.isFile()
        ? "file"
        : stats.isSymbolicLink()
          ? "symlink"
          : "other";
    // a folder that is left out may hold what is taken back
    const gone = where !== "" && this.#ignore.excludes(where);
    if (gone && (kind !== "directory" || this.#ignore.excludesAllBelow(where))) return undefined;
    return { path: where, named, kind };
  }

  #leadsOut(named: string, target?: string): OutsideContext {
    const where = target === undefined ? "" : `, to "${visible(target)}"`;
    return new OutsideContext(`"${visible(named)}" is a link that leads out of ${this.name}${where}`);
  }

  *walk(found: Found, leaveOut: (path: string) => boolean): Generator<SourceEntry> {
    yield* this.#walk(found.path, "", leaveOut);
  }

  *#walk(path: string, below: string, leaveOut: (path: string) => boolean): Generator<SourceEntry> {
    const file = join(this.root, path);
    const stats = lstatSync(file, { bigint: true, throwIfNoEntry: false });
    if (!stats) return; // gone meanwhile
    const excluded = path !== "" && (leaveOut(path) || (this.#ignore.any && this.#ignore.excludes(path)));
    if (excluded) {
      if (!stats.isDirectory() || this.#ignore.excludesAllBelow(path)) return;
      // only what is taken back, and the folder itself once something is
      const inside = this.#inside(path, below, leaveOut);
      const first = inside.next();
      if (first.done) return;
      yield this.#entry(file, path, below, stats);
      yield first.value;
      yield* inside;
      return;
    }
    // sockets and the like are nothing that an image could hold
    if (!stats.isDirectory() && !stats.isFile() && !stats.isSymbolicLink()) return;
    yield this.#entry(file, path, below, stats);
    if (stats.isDirectory()) yield* this.#inside(path, below, leaveOut);
  }

  *#inside(path: string, below: string, leaveOut: (path: string) => boolean): Generator<SourceEntry> {
    for (const name of readdirSync(join(this.root, path)).sort()) {
      yield* this.#walk(path === "" ? name : `${path}/${name}`, below === "" ? name : `${below}/${name}`, leaveOut);
    }
  }

  #entry(file: string, path: string, below: string, stats: BigIntStats): SourceEntry {
    const common: Partial<LayerRecord> = {
      path: Buffer.from(below),
      mode: Number(stats.mode) & 0o7777,
      mtimeSeconds: Number(stats.mtimeNs / 1_000_000_000n),
    };
    if (stats.isDirectory()) return { path: below, record: layerRecord(RecordKind.DIRECTORY, common) };
    if (stats.isSymbolicLink()) {
      const link = readlinkSync(file, { encoding: "buffer" });
      return { path: below, record: layerRecord(RecordKind.SYMLINK, { ...common, mode: 0o777, link }) };
    }
    const size = Number(stats.size);
    return {
      path: below,
      record: layerRecord(RecordKind.FILE, { ...common, size, data: size }),
      digest: () => this.#hashes.digest(file, path, stats),
      content: () => fileContent(file, size),
    };
  }
}

const CHUNK = 1 << 20;

/** Exactly so many bytes: a file that grew meanwhile gives what it had, one that shrank is an error. */
function* fileContent(file: string, size: number): Generator<Uint8Array> {
  const fd = openSync(file, "r");
  try {
    for (let left = size; left > 0; ) {
      const buffer = Buffer.allocUnsafe(Math.min(left, CHUNK));
      const count = readSync(fd, buffer, 0, buffer.length, null);
      if (count === 0) {
        throw new TsboxError(`Cannot copy "${visible(file)}": it became shorter while it was read`, {
          code: "CHANGED",
        });
      }
      left -= count;
      yield buffer.subarray(0, count);
    }
  } finally {
    closeSync(fd);
  }
}
