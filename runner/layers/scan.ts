import { fstatSync, read } from "node:fs";
import { promisify } from "node:util";
import { TsboxError, visible } from "../base/error.ts";
import { decodeRecord, type LayerRecord, RecordFlag, RecordKind } from "./abi.ts";
import { ArchiveCursor } from "./cursor.ts";

/** An entry, and where its content lies in the file. */
export interface ScannedEntry {
  record: LayerRecord;
  /** As text, for programs. Not made visible(). */
  path: string;
  offset: number;
}

/** Headers lie apart by what the files take: more is read of none than this. */
const STEP = 64 << 10;

const readAt = promisify(read);

/** The archive has a file whose content is in pieces: it must be read in order. */
export class Unscannable extends Error {}

/** What an uncompressed archive in a file holds. Content is passed over, not read. */
export async function* scanArchive(fd: number): AsyncGenerator<ScannedEntry> {
  const cursor = new ArchiveCursor({ whiteouts: false });
  const { size } = fstatSync(fd);
  let position = 0;
  let length = 0;
  for (;;) {
    const step = cursor.next();
    if (step === "end") return;
    if (step === "input") {
      position += length;
      const chunk = Buffer.allocUnsafe(STEP);
      length = (await readAt(fd, chunk, 0, STEP, position)).bytesRead;
      if (length === 0) cursor.finish();
      else cursor.push(chunk.subarray(0, length));
      continue;
    }
    if (step === "data") continue;
    const record = decodeRecord(cursor.record);
    if (record.kind === RecordKind.SEGMENT || record.flags & RecordFlag.SPARSE) throw new Unscannable();
    const offset = position + cursor.used;
    if (record.kind === RecordKind.FILE && offset + record.size > size) {
      const name = visible(Buffer.from(record.path).toString());
      throw new TsboxError(`Cannot read archive: it is cut off in "${name}"`, { code: "BAD_ARCHIVE" });
    }
    // the rest of the content is behind this chunk
    const ahead = cursor.skipContent();
    position += ahead;
    yield { record, path: Buffer.from(record.path).toString(), offset };
  }
}
