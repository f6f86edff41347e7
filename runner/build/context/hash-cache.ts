import { createHash } from "node:crypto";
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readFileSync, readSync } from "node:fs";
import { dirname } from "node:path";
import { writeFileQuick } from "../../base/atomic-write.ts";
import { isCoarse, readSmall, stampOf, stampTime } from "../../sys/scan.ts";

/** A clock may stand still for so long (milliseconds): what was changed later than that before it was hashed might change again unseen. */
const TICK = 100;
/** File systems that count in seconds. */
const COARSE_TICK = 2000;

/** Whether a file with this stamp, seen at `time` (milliseconds since 1970), will have another one when it is written again. */
export function isSettled(stamp: string, time: number): boolean {
  return stampTime(stamp) + (isCoarse(stamp) ? COARSE_TICK : TICK) < time;
}

/** Both in hexadecimal, so of one length in every line of the file: stamp, digest, name. */
const [STAMP_LENGTH, DIGEST_LENGTH] = [64, 64];
const NAME_AT = STAMP_LENGTH + 1 + DIGEST_LENGTH + 1;

/**
 * SHA-256 of files, remembered between builds by inode, size and times, so that a large context is read once. A file that changed just before
 * it was read is not remembered: another change within the same tick of the clock would look the same ("racily clean").
 */
export class HashCache {
  readonly #path: string;
  /** Stamp and digest by name; read when the first is asked for. */
  #known: Map<string, string> | undefined;
  readonly #next = new Map<string, string>();
  #changed = false;

  constructor(path: string) {
    this.#path = path;
  }

  /** The digest of a regular file; `name` is what it is remembered by, `stamp` how a scan saw it. */
  digest(file: string, name: string, stamp: string): string {
    this.#known ??= this.#read();
    const known = this.#known.get(name);
    if (known?.startsWith(stamp)) return known.slice(STAMP_LENGTH + 1);
    this.#changed = true;
    const started = Date.now();
    const { digest, stamp: seen } = hashFile(file, stamp);
    if (isSettled(seen, started) && !name.includes("\n")) this.#next.set(name, `${seen} ${digest}`);
    return digest;
  }

  /** Names that were not asked for keep their place: another build may use another part of the context. */
  save(): void {
    if (!this.#changed || (this.#next.size === 0 && this.#known?.size === 0)) return;
    const lines: string[] = [];
    for (const [name, line] of new Map([...(this.#known ?? []), ...this.#next])) lines.push(`${line} ${name}\n`);
    mkdirSync(dirname(this.#path), { recursive: true, mode: 0o700 });
    writeFileQuick(this.#path, lines.join(""));
  }

  #read(): Map<string, string> {
    const known = new Map<string, string>();
    if (!existsSync(this.#path)) return known;
    const text = readFileSync(this.#path, "utf8");
    for (let at = 0; at < text.length; ) {
      const end = text.indexOf("\n", at);
      if (end < 0) break;
      known.set(text.slice(at + NAME_AT, end), text.slice(at, at + NAME_AT - 1));
      at = end + 1;
    }
    return known;
  }
}

/** Reads a file whole; one that is written meanwhile is read again. */
function hashFile(file: string, expected: string): { digest: string; stamp: string } {
  for (let before = expected; ; ) {
    const small = readSmall(file);
    const found = small
      ? { digest: createHash("sha256").update(small.content).digest("hex"), stamp: small.stamp }
      : hashLarge(file);
    if (found.stamp === before) return found;
    before = found.stamp;
  }
}

const BUFFER = 1 << 20;

function hashLarge(file: string): { digest: string; stamp: string } {
  const buffer = Buffer.allocUnsafeSlow(BUFFER);
  const fd = openSync(file, "r");
  try {
    const hash = createHash("sha256");
    for (;;) {
      const count = readSync(fd, buffer, 0, buffer.length, null);
      if (count === 0) break;
      hash.update(buffer.subarray(0, count));
    }
    return { digest: hash.digest("hex"), stamp: stampOf(fstatSync(fd, { bigint: true })) };
  } finally {
    closeSync(fd);
  }
}
