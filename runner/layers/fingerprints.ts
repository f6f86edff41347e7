import { createHash, type Hash } from "node:crypto";
import { TsboxError } from "../base/error.ts";
import { RECORD_HEADER_SIZE, RecordKind } from "./abi.ts";
import { RecordSplitter } from "./records.ts";

/** What an entry of a packed tree is, short enough to be compared with that of another tree. */
export interface Fingerprint {
  /** Bytes as latin1 characters. */
  path: string;
  /** Kind, mode, owner, time, size, link and extended attributes. */
  facts: string;
  /** Of a file's content. */
  content: string;
}

const BLOCK = 64 << 10;
const ZEROS = Buffer.alloc(BLOCK);

/** A digest of content that does not depend on where it has holes: blocks of zeros are passed over, however long a hole is. */
class ContentDigest {
  readonly #hash: Hash = createHash("sha256");
  readonly #block = Buffer.alloc(BLOCK);
  /** Number of the block, and how much of it is not known to be zeros. */
  #number = 0;
  #used = 0;
  #empty = true;

  add(offset: number, data: Uint8Array): void {
    for (let at = 0; at < data.length; ) {
      const position = offset + at;
      const number = Math.floor(position / BLOCK);
      if (number !== this.#number) this.#flush();
      this.#number = number;
      const start = position % BLOCK;
      const piece = data.subarray(at, at + BLOCK - start);
      this.#block.set(piece, start);
      this.#used = start + piece.length;
      at += piece.length;
    }
  }

  end(): string {
    this.#flush();
    return this.#empty ? "" : this.#hash.digest("base64");
  }

  #flush(): void {
    if (this.#used === 0) return;
    if (!this.#block.equals(ZEROS)) {
      this.#hash.update(`${this.#number}:`).update(this.#block);
      this.#empty = false;
    }
    this.#block.fill(0, 0, this.#used);
    this.#used = 0;
  }
}

/** Every entry of the helper's record stream, in its order. */
export async function* fingerprints(source: AsyncIterable<Uint8Array>): AsyncGenerator<Fingerprint> {
  const splitter = new RecordSplitter();
  let entry: Omit<Fingerprint, "content"> | undefined;
  let content: ContentDigest | undefined;
  let at = 0;
  const finished = (): Fingerprint[] => (entry ? [{ ...entry, content: content?.end() ?? "" }] : []);
  for await (const chunk of source) {
    for (const part of splitter.split(chunk)) {
      if ("data" in part) {
        content ??= new ContentDigest();
        content.add(at, part.data);
        at += part.data.length;
      } else if (part.record[4] === RecordKind.SEGMENT) {
        at = Number(part.record.readBigUInt64LE(56));
      } else {
        yield* finished();
        entry = part.record[4] === RecordKind.END ? undefined : factsOf(part.record);
        content = undefined;
        at = 0;
      }
    }
  }
  if (!splitter.complete) {
    throw new TsboxError("Cannot read layer records: they were cut off", { code: "BAD_RECORDS" });
  }
}

function factsOf(record: Buffer): Omit<Fingerprint, "content"> {
  const end = RECORD_HEADER_SIZE + record.readUInt32LE(64);
  const path = record.toString("latin1", RECORD_HEADER_SIZE, end);
  const header = Buffer.from(record.subarray(0, RECORD_HEADER_SIZE));
  // where a file has holes, how much content follows, and what lies below is no property of it
  header[5] = 0;
  header.fill(0, 48, 64);
  header.fill(0, 76, 80);
  // a directory that the layer does not name has the time of its making
  if (header[4] === RecordKind.DIRECTORY) header.fill(0, 28, 40);
  return { path, facts: header.toString("latin1") + record.toString("latin1", end) };
}

/** Where in a record's header what lies; behind the header are the link and the attributes. */
const FACTS = {
  kind: [4, 5],
  mode: [8, 12],
  owner: [12, 20],
  device: [20, 28],
  time: [28, 40],
  size: [40, 48],
} as const;
type Fact = keyof typeof FACTS | "link or attributes";

function firstOther(a: string, b: string): Fact {
  const other = Object.entries(FACTS).find(([, [from, to]]) => a.slice(from, to) !== b.slice(from, to));
  return (other?.[0] as Fact | undefined) ?? "link or attributes";
}

export interface Difference {
  /** Bytes as latin1 characters. */
  path: string;
  how: "missing" | "too many" | "content" | Fact;
}

/** In what the first tree differs from the second, which is right. Both are in the order in which trees are packed. */
export async function* differences(
  found: AsyncIterable<Uint8Array>,
  right: AsyncIterable<Uint8Array>,
): AsyncGenerator<Difference> {
  const [a, b] = [fingerprints(found), fingerprints(right)];
  const next = async (from: AsyncGenerator<Fingerprint>) => (await from.next()).value as Fingerprint | undefined;
  let [one, other] = [await next(a), await next(b)];
  while (one || other) {
    const order = !one ? 1 : !other ? -1 : compared(one.path, other.path);
    if (order > 0) yield { path: (other as Fingerprint).path, how: "missing" };
    else if (order < 0) yield { path: (one as Fingerprint).path, how: "too many" };
    else if (one?.content !== other?.content) yield { path: (one as Fingerprint).path, how: "content" };
    else if (one?.facts !== other?.facts) {
      yield {
        path: (one as Fingerprint).path,
        how: firstOther((one as Fingerprint).facts, (other as Fingerprint).facts),
      };
    }
    if (order <= 0) one = await next(a);
    if (order >= 0) other = await next(b);
  }
}

/** Name by name, as a walk goes: what is in a directory comes before whatever stands beside it. */
function compared(a: string, b: string): number {
  const [left, right] = [a.replaceAll("/", "\0"), b.replaceAll("/", "\0")];
  return left < right ? -1 : left > right ? 1 : 0;
}
