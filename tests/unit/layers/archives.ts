/** Archives for the tests: by GNU tar, and byte by byte where no tool would write them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  decodeRecord,
  type LayerRecord,
  RECORD_HEADER_SIZE,
  RecordFlag,
  RecordKind,
} from "../../../runner/layers/abi.ts";
import { type ByteSource, recordStream } from "../../../runner/layers/reader.ts";

/** Runs with an empty directory, which is removed in the end. */
export async function withDirectory<T>(run: (directory: string) => T | Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), "tsbox-layers-"));
  try {
    return await run(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** What `tar -c` with these arguments writes. */
export function gnuTar(cwd: string, ...args: string[]): Buffer {
  return execFileSync("tar", ["--sort=name", "-c", ...args], {
    cwd,
    env: { ...process.env, LC_ALL: "C" },
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "pipe"],
  });
}

/** Bytes as a source, in pieces of a size. */
export async function* chunks(bytes: Uint8Array, size = 65536): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

export async function concat(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const all: Uint8Array[] = [];
  for await (const chunk of source) all.push(Uint8Array.from(chunk));
  return Buffer.concat(all);
}

export interface Entry {
  record: LayerRecord;
  path: string;
  link: string;
  /** Whole content, holes filled with zeros. */
  content: Buffer;
  segments: number;
}

/** Reads a record stream as apply does. `ended`: END was there. */
export function parseRecords(stream: Buffer): { entries: Entry[]; ended: boolean } {
  const entries: Entry[] = [];
  for (let at = 0; at < stream.length; ) {
    const length = stream.readUInt32LE(at);
    if (length < RECORD_HEADER_SIZE || at + length > stream.length) throw new Error(`bad record at ${at}`);
    const record = decodeRecord(stream.subarray(at, at + length));
    at += length;
    if (record.kind === RecordKind.END) {
      if (at !== stream.length) throw new Error("records after END");
      return { entries, ended: true };
    }
    const data = stream.subarray(at, at + record.data);
    at += record.data;
    if (record.kind === RecordKind.SEGMENT) {
      const file = entries.at(-1) as Entry;
      file.segments++;
      data.copy(file.content, record.offset);
      continue;
    }
    const sparse = (record.flags & RecordFlag.SPARSE) !== 0;
    entries.push({
      record,
      path: Buffer.from(record.path).toString("latin1"),
      link: Buffer.from(record.link).toString("latin1"),
      content: sparse ? Buffer.alloc(record.size) : Buffer.from(data),
      segments: 0,
    });
  }
  return { entries, ended: false };
}

export async function recordsOf(source: ByteSource, whiteouts = true): Promise<Entry[]> {
  const pieces: Uint8Array[] = [];
  await recordStream(source, { write: (more: readonly Uint8Array[]) => void pieces.push(...more) }, { whiteouts });
  const { entries, ended } = parseRecords(Buffer.concat(pieces));
  if (!ended) throw new Error("the stream has no END");
  return entries;
}

/** The message of the error that reading gives; fails if there is none. */
export async function refusal(archive: Uint8Array, whiteouts = true): Promise<string> {
  try {
    await recordsOf(chunks(archive), whiteouts);
  } catch (error) {
    if ((error as Error).name !== "TsboxError") throw error;
    return (error as Error).message;
  }
  throw new Error("the archive was accepted");
}

export const BLOCK = 512;

export function padded(content: Uint8Array): Buffer {
  const bytes = Buffer.alloc(Math.ceil(content.length / BLOCK) * BLOCK);
  bytes.set(content);
  return bytes;
}

export interface HeaderFields {
  name?: string;
  mode?: number;
  uid?: number | Buffer;
  gid?: number;
  size?: number | Buffer;
  mtime?: number | Buffer;
  type?: string;
  link?: string;
  magic?: string;
  prefix?: string;
  /** Raw bytes at an offset, written last before the checksum. */
  raw?: [at: number, bytes: Buffer][];
}

/** A header block, as lying as it is told to be, with a good checksum. */
export function header(fields: HeaderFields): Buffer {
  const block = Buffer.alloc(BLOCK);
  const number = (value: number | Buffer, at: number, width: number) => {
    if (Buffer.isBuffer(value)) value.copy(block, at);
    else block.write(`${value.toString(8).padStart(width - 1, "0")}\0`, at, "latin1");
  };
  block.write(fields.name ?? "file", 0, 100, "latin1");
  number(fields.mode ?? 0o644, 100, 8);
  number(fields.uid ?? 0, 108, 8);
  number(fields.gid ?? 0, 116, 8);
  number(fields.size ?? 0, 124, 12);
  number(fields.mtime ?? 0, 136, 12);
  block.write(fields.type ?? "0", 156, 1, "latin1");
  block.write(fields.link ?? "", 157, 100, "latin1");
  block.write(fields.magic ?? "ustar\x0000", 257, 8, "latin1");
  block.write(fields.prefix ?? "", 345, 155, "latin1");
  for (const [at, bytes] of fields.raw ?? []) bytes.copy(block, at);
  block.fill(" ", 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, "0")}\0`, 148, "latin1");
  return block;
}

/** An entry with content; its size is the content's unless told otherwise. */
export function entry(fields: HeaderFields, content: string | Buffer = ""): Buffer {
  const bytes = Buffer.from(content as string, "latin1");
  return Buffer.concat([header({ size: bytes.length, ...fields }), padded(bytes)]);
}

export function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([
    Buffer.from(` ${key}=`, "latin1"),
    Buffer.from(value as string, "latin1"),
    Buffer.from("\n"),
  ]);
  let length = rest.length + 1;
  while (String(length).length + rest.length !== length) length++;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

/** A PAX header for the entry that follows; global with type "g". */
export function pax(values: Record<string, string | Buffer>, type = "x"): Buffer {
  const body = Buffer.concat(Object.entries(values).map(([key, value]) => paxRecord(key, value)));
  return entry({ name: "PaxHeader", type }, body);
}

export const END = Buffer.alloc(2 * BLOCK);

export function archive(...parts: Buffer[]): Buffer {
  return Buffer.concat([...parts, END]);
}
