import { createHash } from "node:crypto";
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, readSync } from "node:fs";
import { dirname } from "node:path";
import { writeFileQuick } from "../../base/atomic-write.ts";

/** What tells that a file was not written since: the kernel sets the last on every change, and nobody else can. */
export interface FileStamp {
  ino: bigint;
  size: bigint;
  mtimeNs: bigint;
  ctimeNs: bigint;
}

/** A clock may stand still for so long (nanoseconds): what was changed later than that before it was hashed might change again unseen. */
const TICK = 100_000_000n;
/** File systems that count in seconds. */
const COARSE_TICK = 2_000_000_000n;

/**
 * SHA-256 of files, remembered between builds by inode, size and times, so that a large context is read once. A file that changed just before
 * it was read is not remembered: another change within the same tick of the clock would look the same ("racily clean").
 */
export class HashCache {
  readonly #path: string;
  readonly #known = new Map<string, { stamp: string; digest: string }>();
  readonly #next = new Map<string, string>();
  #changed = false;

  constructor(path: string) {
    this.#path = path;
    if (!existsSync(path)) return;
    // a line a file: stamp, digest, name. The name is last, for it may hold anything but a line break
    for (const line of readFileSync(path, "utf8").split("\n")) {
      const found = /^(\S+) ([0-9a-f]{64}) (.+)$/s.exec(line);
      if (found) this.#known.set(found[3] as string, { stamp: found[1] as string, digest: found[2] as string });
    }
  }

  /** The digest of a regular file; `name` is what it is remembered by. */
  digest(file: string, name: string, seen: FileStamp): string {
    const known = this.#known.get(name);
    const stamp = stampText(seen);
    if (known?.stamp === stamp) {
      this.#keep(name, stamp, known.digest);
      return known.digest;
    }
    this.#changed = true;
    const started = BigInt(Date.now()) * 1_000_000n;
    const { digest, after } = hashFile(file);
    const tick = after.mtimeNs % 1_000_000_000n === 0n && after.ctimeNs % 1_000_000_000n === 0n ? COARSE_TICK : TICK;
    if (after.ctimeNs + tick < started && after.mtimeNs + tick < started) this.#keep(name, stampText(after), digest);
    return digest;
  }

  /** Names that were not asked for keep their place: another build may use another part of the context. */
  save(): void {
    if (!this.#changed) return;
    const lines = [...this.#next].map(([name, line]) => `${line} ${name}\n`);
    for (const [name, { stamp, digest }] of this.#known) {
      if (!this.#next.has(name)) lines.push(`${stamp} ${digest} ${name}\n`);
    }
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    writeFileQuick(this.#path, lines.join(""));
  }

  #keep(name: string, stamp: string, digest: string): void {
    if (!name.includes("\n")) this.#next.set(name, `${stamp} ${digest}`);
  }
}

function stampText({ ino, size, mtimeNs, ctimeNs }: FileStamp): string {
  return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}

const BUFFER = Buffer.allocUnsafeSlow(1 << 20);

/** Reads a file whole; one that is written meanwhile is read again. */
function hashFile(file: string): { digest: string; after: FileStamp } {
  for (;;) {
    const fd = openSync(file, "r");
    try {
      const before = fstatSync(fd, { bigint: true });
      const hash = createHash("sha256");
      for (;;) {
        const count = readSync(fd, BUFFER, 0, BUFFER.length, null);
        if (count === 0) break;
        hash.update(BUFFER.subarray(0, count));
        if (BigInt(count) === before.size && count < BUFFER.length) break;
      }
      const after = fstatSync(fd, { bigint: true });
      if (stampText(before) === stampText(after)) return { digest: hash.digest("hex"), after };
    } finally {
      closeSync(fd);
    }
  }
}
