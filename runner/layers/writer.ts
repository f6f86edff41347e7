import { TsboxError, visible } from "../base/error.ts";
import { encodeRecord, type LayerRecord, layerRecord, RECORD_MAX, RecordKind } from "./abi.ts";
import { type Engine, engineText, newEngine } from "./engine.ts";

const BLOCK = 512;

/** Deterministic tars: the same records give the same bytes. */
export interface TarWriter {
  /** What stands before the entry's content. */
  header(record: LayerRecord): Uint8Array;
  /** Zeros that fill content of this length up to a block. */
  padding(size: number): Uint8Array;
  /** The end marker. */
  end(): Uint8Array;
}

function write(engine: Engine, record: LayerRecord): Uint8Array {
  const bytes = encodeRecord(record);
  const { exports, memory } = engine;
  const at = exports.writer_buffer();
  if (bytes.length > RECORD_MAX) {
    throw new TsboxError(`Cannot write entry "${visible(String(record.path))}": its names and attributes are too long`);
  }
  memory.set(bytes, at);
  return headerView(engine, bytes.length).slice();
}

function headerView(engine: Engine, recordLength: number): Uint8Array {
  const { exports, memory } = engine;
  const length = exports.writer_entry(recordLength);
  if (length === 0) {
    const text = engineText(engine, exports.writer_error_pointer(), exports.writer_error_length());
    throw new TsboxError(`Cannot write archive: ${visible(text)}`, { code: "BAD_ENTRY" });
  }
  const pointer = exports.writer_pointer();
  return memory.subarray(pointer, pointer + length);
}

export function tarWriter(): TarWriter {
  const engine = newEngine();
  return {
    header: (record) => write(engine, record),
    padding: (size) => new Uint8Array((BLOCK - (size % BLOCK)) % BLOCK),
    end: () => write(engine, layerRecord(RecordKind.END)),
  };
}

/** For records that come encoded: they are changed and written where the engine has them, and nothing is decoded. */
export interface RawTarWriter {
  /** Where the record's bytes go. */
  readonly record: Uint8Array;
  /** The header of the record of this length; valid until the next call. */
  header(length: number): Uint8Array;
}

export function rawTarWriter(): RawTarWriter {
  const engine = newEngine();
  const { exports, memory } = engine;
  const at = exports.writer_buffer();
  return {
    record: memory.subarray(at, at + RECORD_MAX),
    header: (length) => headerView(engine, length),
  };
}

/** An entry to write: a record, and exactly `size` bytes if it is a file. */
export interface OutgoingEntry {
  record: LayerRecord;
  content?: Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

/** A whole archive, end marker included. */
export async function* writeArchive(
  entries: Iterable<OutgoingEntry> | AsyncIterable<OutgoingEntry>,
): AsyncGenerator<Uint8Array> {
  const writer = tarWriter();
  for await (const { record, content } of entries) {
    yield writer.header(record);
    let written = 0;
    for await (const chunk of content ?? []) {
      written += chunk.length;
      yield chunk;
    }
    if (written !== record.size) {
      const name = visible(Buffer.from(record.path).toString());
      throw new TsboxError(`Cannot write entry "${name}": its content has ${written} bytes, expected ${record.size}`);
    }
    if (written % BLOCK !== 0) yield writer.padding(written);
  }
  yield writer.end();
}

/** A file's record for writeArchive(). */
export function fileRecord(path: string, size: number, fields: Partial<LayerRecord> = {}): LayerRecord {
  return layerRecord(RecordKind.FILE, { path: Buffer.from(path), size, data: size, mode: 0o644, ...fields });
}

export function directoryRecord(path: string, fields: Partial<LayerRecord> = {}): LayerRecord {
  return layerRecord(RecordKind.DIRECTORY, { path: Buffer.from(path), mode: 0o755, ...fields });
}
