import { createReadStream, existsSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { posix } from "node:path";
import { abortable } from "../base/abortable.ts";
import { TsboxError } from "../base/error.ts";
import { type LayerRecord, RecordKind } from "../layers/abi.ts";
import { decompressArchive, sniffArchive } from "../layers/decompress.ts";
import { readEntries } from "../layers/reader.ts";
import { scanArchive, Unscannable } from "../layers/scan.ts";
import { isDigest } from "../oci/digest.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import { parseJson } from "../oci/validate.ts";
import { hasBlob, readBlob } from "../store/blobs.ts";
import type { Inbox } from "../store/inbox.ts";
import type { StoreLayout } from "../store/layout.ts";
import { directoryEntries, type InputEntry, readHead } from "./directory-entries.ts";

/** One file of an archive. Every file becomes a blob, whatever its name; a large one that can be found again later is received when it is needed. */
export interface ArchiveFile {
  /** Absent: it is large, and its name does not tell. */
  digest: Digest | undefined;
  size: number;
  /** Its first bytes: how it is compressed is asked of layers only. */
  head: Buffer;
  /** Where it lies, if it was not received yet. */
  range?: { path: string; offset: number };
}

/** An archive or folder that was read to its end. `source` is how errors call it. */
export interface ArchiveFiles {
  layout: StoreLayout;
  source: string;
  files: Map<string, ArchiveFile>;
  /** Large files that are blobs of these digests, once they were received. */
  awaited: Map<Digest, ArchiveFile>;
}

const MAX_JSON = 4 << 20;

export function describeSource(path: string | undefined): string {
  return path === undefined ? "standard input" : `"${path}"`;
}

/** Reads an archive (a file, or standard input), compressed or not, or a folder, in one pass and whatever the order of its parts. */
export async function readArchive(
  inbox: Inbox,
  path: string | undefined,
  signal: AbortSignal | undefined,
): Promise<ArchiveFiles> {
  const source = describeSource(path);
  const files = new Map<string, ArchiveFile>();
  const links = new Map<string, string>();
  const awaited = new Map<Digest, ArchiveFile>();
  for await (const entry of abortable(inputEntries(path), signal)) {
    if (entry.link !== undefined) {
      links.set(entry.path, entry.link);
      continue;
    }
    const digest = digestInName(entry.path);
    if (entry.range && entry.range.size > MAX_JSON) {
      const file = { digest, ...entry.range, range: entry.range };
      files.set(entry.path, file);
      if (digest) awaited.set(digest, file);
    } else {
      files.set(entry.path, await inbox.receive(abortable(entry.content, signal), digest));
      if (digest) awaited.delete(digest);
    }
  }
  for (const [from, target] of links) {
    const file = files.get(target);
    if (file) files.set(from, file);
  }
  return { layout: inbox.layout, source, files, awaited };
}

/** Blobs of OCI layouts and of skopeo's `dir:` are named by their digests. */
function digestInName(path: string): Digest | undefined {
  const hex = /^(?:blobs\/sha256\/)?([0-9a-f]{64})$/.exec(path)?.[1];
  const digest = `sha256:${hex}`;
  return isDigest(digest) ? digest : undefined;
}

/** Whoever reads tars and compressed data does not know what file it came from. */
export function namingSource(error: unknown, source: string): unknown {
  if (!(error instanceof TsboxError) || !/^Cannot (read|decompress) archive: /.test(error.message)) return error;
  return new TsboxError(error.message.replace(/^Cannot (read|decompress) archive: /, `Cannot load ${source}: `), {
    code: error.code,
    cause: error,
    exitCode: 1,
    ...(error.hint !== undefined && { hint: error.hint }),
  });
}

async function* inputEntries(path: string | undefined): AsyncGenerator<InputEntry> {
  if (path === undefined) {
    yield* archiveEntries(process.stdin);
    return;
  }
  let directory: boolean;
  try {
    directory = statSync(path).isDirectory();
  } catch (cause) {
    throw unreadable(path, cause);
  }
  if (directory) {
    // any other folder may be a whole disk
    if (["index.json", "manifest.json"].some((name) => existsSync(posix.join(path, name))))
      yield* directoryEntries(path);
  } else if (!(await isPlainFile(path))) yield* archiveEntries(fileChunks(path));
  else {
    try {
      yield* scannedEntries(path);
    } catch (error) {
      if (!(error instanceof Unscannable)) throw error;
      // what was found is found again
      yield* archiveEntries(fileChunks(path));
    }
  }
}

/** A file on a disk that is not compressed: its parts can be found again. */
async function isPlainFile(path: string): Promise<boolean> {
  if (!statSync(path).isFile()) return false;
  try {
    return sniffArchive(await readHead(path, 0)) === "none";
  } catch (cause) {
    throw cause instanceof TsboxError ? cause : unreadable(path, cause);
  }
}

async function* scannedEntries(path: string): AsyncGenerator<InputEntry> {
  const file = await open(path, "r");
  try {
    for await (const { record, path: name, offset } of scanArchive(file.fd)) {
      const { size } = record;
      if (record.kind !== RecordKind.FILE) yield* linkEntry(record, name);
      else {
        const content = fileChunks(path, offset, size);
        yield { path: name, content, range: { path, offset, size, head: await readHead(path, offset) } };
      }
    }
  } finally {
    await file.close();
  }
}

/** The bytes of a file that was left where it is. */
export function awaitedChunks({ range, size }: ArchiveFile): AsyncIterable<Uint8Array> {
  const { path, offset } = range as { path: string; offset: number };
  return fileChunks(path, offset, size);
}

async function* fileChunks(path: string, offset = 0, size = Number.POSITIVE_INFINITY): AsyncGenerator<Uint8Array> {
  if (size === 0) return;
  try {
    yield* createReadStream(path, { highWaterMark: 1 << 20, start: offset, end: offset + size - 1 });
  } catch (cause) {
    throw (cause as NodeJS.ErrnoException).syscall === undefined ? cause : unreadable(path, cause);
  }
}

function unreadable(path: string, cause: unknown): TsboxError {
  const states: Record<string, string> = { ENOENT: "no such file", EACCES: "permission denied" };
  const state = states[(cause as NodeJS.ErrnoException).code ?? ""] ?? (cause as Error).message;
  return new TsboxError(`Cannot load "${path}": ${state}`, { code: "NO_INPUT", cause, exitCode: 1 });
}

async function* archiveEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<InputEntry> {
  for await (const { record, path, content } of readEntries(decompressArchive(source), { whiteouts: false })) {
    if (record.kind === RecordKind.FILE) yield { path, content };
    else yield* linkEntry(record, path);
  }
}

/** docker-archives name a layer that several images share by links. */
function* linkEntry(record: LayerRecord, path: string): Generator<InputEntry> {
  const link = Buffer.from(record.link).toString();
  if (record.kind === RecordKind.SYMLINK) yield { path, link: posix.join(posix.dirname(path), link) };
  else if (record.kind === RecordKind.HARDLINK) yield { path, link };
}

/** A file of the archive that must be JSON: its text. */
export function archiveText({ layout, files, source }: ArchiveFiles, path: string): Buffer {
  const file = files.get(path);
  if (file?.digest && file.size <= MAX_JSON) return readBlob(layout, file.digest);
  throw new TsboxError(`Cannot load ${path} of ${source}: it is ${file ? "too large" : "not in the archive"}`, {
    code: "INVALID_IMAGE",
    exitCode: 1,
  });
}

/** The JSON that a descriptor names. */
export function blobJson(archive: ArchiveFiles, descriptor: Descriptor): Record<string, unknown> {
  const { layout, source } = archive;
  checkPresent(archive, descriptor);
  const what = `${descriptor.digest} of ${source}`;
  if (descriptor.size > MAX_JSON) {
    throw new TsboxError(`Cannot load ${what}: it is too large`, { code: "INVALID_IMAGE", exitCode: 1 });
  }
  return parseJson(readBlob(layout, descriptor.digest), what);
}

/** What a descriptor says must be there, at the size it says: a layer that is unpacked already would not be looked at. */
export function checkPresent({ layout, source, awaited }: ArchiveFiles, { digest, size }: Descriptor): void {
  const found = awaited.get(digest)?.size ?? (hasBlob(layout, digest) ? statSync(layout.blob(digest)).size : undefined);
  if (found === size) return;
  const state = found === undefined ? "is not in it" : `has ${found} bytes, its descriptor says ${size}`;
  throw new TsboxError(`Cannot load ${source}: blob ${digest} ${state}`, {
    code: "INVALID_IMAGE",
    hint: "the archive was cut off or put together wrongly",
    exitCode: 1,
  });
}
