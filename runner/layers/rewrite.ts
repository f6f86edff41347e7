import { TsboxError } from "../base/error.ts";
import { RECORD_HEADER_SIZE, RecordFlag, RecordKind } from "./abi.ts";
import { RecordSplitter } from "./records.ts";

/** What is said differently of entries that are copied from one tree to another. */
export interface Rewrite {
  /** Name that the one thing `pick` has read gets; empty: not it, but what is in it. */
  name: Buffer;
  /** With an empty name: the directory is told all the same, as the root of what follows. */
  root?: boolean;
  /** Whose everything becomes; absent: as it is. A file that has its owner's or group's rights when executed loses them with the owner. */
  owner?: { uid: number; gid: number };
}

const SET_ID = 0o6000;

/** What has passed. */
export interface Rewritten {
  entries: number;
  bytes: number;
}

/** The records of `pick` → records that `place` or a tar writer takes. Content is passed on as it came. */
export async function* rewriteRecords(
  source: AsyncIterable<Uint8Array>,
  rewrite: Rewrite,
  result: Rewritten,
): AsyncGenerator<Uint8Array> {
  const splitter = new RecordSplitter();
  Object.assign(result, { entries: 0, bytes: 0 });
  for await (const chunk of source) {
    const parts: Uint8Array[] = [];
    for (const part of splitter.split(chunk)) {
      if ("data" in part) {
        result.bytes += part.data.length;
        parts.push(part.data);
        continue;
      }
      const record = rewritten(part.record, rewrite);
      if (record === undefined) continue;
      if (record[4] !== RecordKind.SEGMENT && record[4] !== RecordKind.END) result.entries++;
      parts.push(record);
    }
    if (parts.length > 0) yield parts.length === 1 ? Buffer.from(parts[0] as Uint8Array) : Buffer.concat(parts);
  }
  if (!splitter.complete) throw new TsboxError("Cannot read the files: they were cut off", { code: "BAD_RECORDS" });
}

/** Undefined: the directory whose content alone is wanted. */
function rewritten(record: Buffer, { name, root, owner }: Rewrite): Buffer | undefined {
  const pathLength = record.readUInt32LE(64);
  const linkLength = record.readUInt32LE(68);
  const pathEnd = RECORD_HEADER_SIZE + pathLength;
  const path = renamed(record.subarray(RECORD_HEADER_SIZE, pathEnd), name);
  if (pathLength > 0 && path.length === 0 && !root) return undefined;
  const link = record.subarray(pathEnd, pathEnd + linkLength);
  const target = record[4] === RecordKind.HARDLINK ? renamed(link, name) : link;
  const header = Buffer.from(record.subarray(0, RECORD_HEADER_SIZE));
  header[5] = (header[5] as number) & RecordFlag.SPARSE;
  header.writeUInt32LE(0, 76);
  header.writeUInt32LE(path.length, 64);
  header.writeUInt32LE(target.length, 68);
  header.writeUInt32LE(record.length - pathLength - linkLength + path.length + target.length, 0);
  if (record[4] === RecordKind.END) header.writeBigUInt64LE(0n, 40);
  else if (owner !== undefined && record[4] !== RecordKind.SEGMENT) {
    header.writeUInt32LE(owner.uid, 12);
    header.writeUInt32LE(owner.gid, 16);
    if (record[4] !== RecordKind.DIRECTORY) header.writeUInt32LE(record.readUInt32LE(8) & ~SET_ID, 8);
  }
  return Buffer.concat([header, path, target, record.subarray(pathEnd + linkLength)]);
}

/** `x` and `x/…` → the name and what is below it. */
function renamed(path: Buffer, name: Buffer): Buffer {
  if (path.length === 0) return path;
  const below = path.subarray(1);
  return name.length === 0 ? below.subarray(1) : Buffer.concat([name, below]);
}
