import { createHash } from "node:crypto";
import { closeSync, existsSync, lstatSync, openSync, readdirSync, readlinkSync, readSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { TsboxError, visible } from "../../base/error.ts";
import { type LayerRecord, layerRecord, RecordKind } from "../../layers/abi.ts";
import { foldersIn, readSmall, type Scanned, scanBytes, scanFolder, stampOf } from "../../sys/scan.ts";
import { attributesOf } from "../attributes.ts";
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
  /** It is there for the next build too. */
  readonly lasting: boolean;
  readonly #ignore: Ignore;
  readonly #hashes: HashCache;

  constructor(root: string, ignore: Ignore, hashes: HashCache, name: string, lasting = false) {
    this.root = realpathSync(root);
    this.#ignore = ignore;
    this.#hashes = hashes;
    this.name = name;
    this.lasting = lasting;
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

  /**
   * Changes whenever anything below does that a build could see: it is made of what the kernel tells of each file, and no file is opened. Folders
   * that are left out whole are not looked into.
   */
  fingerprint(found: Found): string {
    const hash = createHash("sha256");
    const file = join(this.root, found.path);
    const scan = (path: string) => {
      const bytes = scanBytes(join(this.root, path));
      hash.update(`${path}\0${bytes.length}\0`).update(bytes);
      for (const name of foldersIn(bytes)) {
        const folder = path === "" ? name : `${path}/${name}`;
        if (!this.#ignore.any || !this.#ignore.excludes(folder) || !this.#ignore.excludesAllBelow(folder)) scan(folder);
      }
    };
    hash.update(stampOf(lstatSync(file, { bigint: true })));
    if (found.kind === "directory") scan(found.path);
    return hash.digest("hex");
  }

  /** What .dockerignore says, as text: another one makes another context of the same files. */
  get ignored(): string {
    return this.#ignore.text;
  }

  walk(found: Found, leaveOut: (path: string) => boolean): SourceEntry[] {
    const file = join(this.root, found.path);
    const stats = lstatSync(file, { bigint: true, throwIfNoEntry: false });
    if (!stats) return []; // gone meanwhile
    const kind = stats.isDirectory()
      ? "directory"
      : stats.isFile()
        ? "file"
        : stats.isSymbolicLink()
          ? "symlink"
          : "other";
    const own: Scanned = {
      name: "",
      kind,
      mode: Number(stats.mode) & 0o7777,
      size: Number(stats.size),
      mtimeSeconds: Number(stats.mtimeNs / 1_000_000_000n),
      stamp: stampOf(stats),
      ...((kind === "directory" || kind === "file") && { hasAttributes: true }),
    };
    const walk: Walk = { leaveOut, first: new Map(), entries: [] };
    this.#walk(own, found.path, "", walk);
    return walk.entries;
  }

  #walk(own: Scanned, path: string, below: string, walk: Walk): void {
    const { entries } = walk;
    const excluded = path !== "" && (walk.leaveOut(path) || (this.#ignore.any && this.#ignore.excludes(path)));
    if (excluded) {
      if (own.kind !== "directory" || this.#ignore.excludesAllBelow(path)) return;
      // only what is taken back, and the folder itself once something is
      const at = entries.length;
      this.#inside(path, below, walk);
      if (entries.length > at) entries.splice(at, 0, this.#entry(own, path, below, walk));
      return;
    }
    // sockets and the like are nothing that an image could hold
    if (own.kind === "other") return;
    entries.push(this.#entry(own, path, below, walk));
    if (own.kind === "directory") this.#inside(path, below, walk);
  }

  #inside(path: string, below: string, walk: Walk): void {
    for (const own of scanFolder(join(this.root, path))) {
      const { name } = own;
      // what came of bytes that are no UTF-8 would not be found again
      if (name.includes("\ufffd") && !existsSync(join(this.root, path, name))) {
        throw new TsboxError(`Cannot copy "${visible(join(path, name))}" of ${this.name}: its name is not UTF-8`, {
          code: "NAME_NOT_UTF8",
          hint: "rename it, or name it in .dockerignore by a pattern",
        });
      }
      this.#walk(own, path === "" ? name : `${path}/${name}`, below === "" ? name : `${below}/${name}`, walk);
    }
  }

  #entry(own: Scanned, path: string, below: string, walk: Walk): SourceEntry {
    const file = path === "" ? this.root : `${this.root}/${path}`;
    const { stamp, size } = own;
    const common: Partial<LayerRecord> = {
      path: Buffer.from(below),
      mode: own.mode,
      mtimeSeconds: own.mtimeSeconds,
      ...(own.hasAttributes && { xattrs: attributesOf(file, CALLER) }),
    };
    if (own.kind === "directory") return { path: below, record: layerRecord(RecordKind.DIRECTORY, common) };
    if (own.kind === "symlink") {
      const link = readlinkSync(file, { encoding: "buffer" });
      return { path: below, stamp, record: layerRecord(RecordKind.SYMLINK, { ...common, mode: 0o777, link }) };
    }
    const linked = own.shared === undefined ? undefined : walk.first.get(own.shared);
    if (own.shared !== undefined && linked === undefined) walk.first.set(own.shared, below);
    return {
      path: below,
      stamp,
      ...(linked !== undefined && { linked }),
      record: layerRecord(RecordKind.FILE, { ...common, size, data: size }),
      digest: () => this.#hashes.digest(file, path, stamp),
      content: () => fileContent(file, size),
    };
  }
}

/** What one walk has found, and which name of an inode came first. */
interface Walk {
  leaveOut: (path: string) => boolean;
  first: Map<string, string>;
  entries: SourceEntry[];
}

/** Who is root in what is built. */
const CALLER = process.getuid?.() ?? 0;

const CHUNK = 1 << 20;
const SMALL = 128 << 10;

/** Exactly so many bytes: a file that grew meanwhile gives what it had, one that shrank is an error. */
function* fileContent(file: string, size: number): Generator<Uint8Array> {
  const small = size <= SMALL ? readSmall(file)?.content : undefined;
  if (small) {
    if (small.length < size) throw shrank(file);
    if (size > 0) yield Buffer.from(small.subarray(0, size));
    return;
  }
  const fd = openSync(file, "r");
  try {
    for (let left = size; left > 0; ) {
      const buffer = Buffer.allocUnsafe(Math.min(left, CHUNK));
      const count = readSync(fd, buffer, 0, buffer.length, null);
      if (count === 0) throw shrank(file);
      left -= count;
      yield buffer.subarray(0, count);
    }
  } finally {
    closeSync(fd);
  }
}

function shrank(file: string): TsboxError {
  return new TsboxError(`Cannot copy "${visible(file)}": it became shorter while it was read`, { code: "CHANGED" });
}
