import { createHash } from "node:crypto";
import { type LayerRecord, RecordFlag, RecordKind } from "../../layers/abi.ts";
import { decompress } from "../../layers/decompress.ts";
import { type ArchiveEntry, readEntries } from "../../layers/reader.ts";
import type { Descriptor, Digest } from "../../oci/types.ts";
import { blobStream } from "../../store/blob-store.ts";
import { storeLayout } from "../../store/layout.ts";
import type { Engine } from "../engine.ts";
import { readListing, writeListing } from "./listing-cache.ts";
import { type BytePath, bytePath } from "./names.ts";

export type FileKind = "directory" | "file" | "symlink" | "hardlink" | "character" | "block" | "fifo";

/** An entry of a layer's archive. `whiteout` and `opaque` say what the layers below lose. */
export interface ListedEntry {
  path: BytePath;
  kind: FileKind | "whiteout" | "opaque";
  mode: number;
  uid: number;
  gid: number;
  /** Seconds. */
  mtime: number;
  /** Of a file: bytes. */
  size: number;
  /** Of a file: SHA-256 of its content, hexadecimal; empty for one that is too large to be worth it. */
  digest: string;
  /** Target of a link; numbers of a device. */
  link: string;
  /** Fingerprint of the extended attributes; empty without any. */
  xattrs: string;
}

const KINDS: Partial<Record<RecordKind, ListedEntry["kind"]>> = {
  [RecordKind.DIRECTORY]: "directory",
  [RecordKind.FILE]: "file",
  [RecordKind.SYMLINK]: "symlink",
  [RecordKind.HARDLINK]: "hardlink",
  [RecordKind.CHARACTER]: "character",
  [RecordKind.BLOCK]: "block",
  [RecordKind.FIFO]: "fifo",
  [RecordKind.WHITEOUT]: "whiteout",
  [RecordKind.OPAQUE]: "opaque",
};

/** A sparse file may claim any size: its holes are read as zeros, one by one. */
const MAX_SPARSE = 1 << 30;

/** What is in a layer, in the archive's order. Read once: the listing is kept in the store's cache, by diffID. */
export async function layerListing(engine: Engine, layer: Descriptor, diffID: Digest): Promise<ListedEntry[]> {
  const layout = storeLayout(engine.root);
  const kept = readListing(layout, diffID);
  if (kept) return kept;
  const entries: ListedEntry[] = [];
  for await (const entry of readEntries(decompress(blobStream(layout, layer.digest)), { whiteouts: true })) {
    const kind = KINDS[entry.record.kind];
    if (kind) entries.push(await listed(entry, kind));
  }
  writeListing(layout, diffID, entries);
  return entries;
}

async function listed({ record, content }: ArchiveEntry, kind: ListedEntry["kind"]): Promise<ListedEntry> {
  const path = bytePath(record.path)
    .replace(/^(\.?\/)+/, "")
    .replace(/\/+$/, "");
  return {
    path: path === "." ? "" : path,
    kind,
    mode: record.mode & 0o7777,
    uid: record.uid,
    gid: record.gid,
    mtime: record.mtimeSeconds,
    size: kind === "file" ? record.size : 0,
    digest: kind === "file" ? await contentDigest(record, content) : "",
    link: linkOf(record, kind),
    xattrs: xattrsPrint(record),
  };
}

async function contentDigest(record: LayerRecord, content: AsyncIterable<Uint8Array>): Promise<string> {
  if (record.flags & RecordFlag.SPARSE && record.size > MAX_SPARSE) return "";
  const hash = createHash("sha256");
  for await (const chunk of content) hash.update(chunk);
  return hash.digest("hex");
}

function linkOf(record: LayerRecord, kind: ListedEntry["kind"]): string {
  if (kind === "character" || kind === "block") return `${record.devMajor}:${record.devMinor}`;
  return bytePath(record.link);
}

function xattrsPrint({ xattrs }: LayerRecord): string {
  if (xattrs.length === 0) return "";
  const parts = xattrs.map(({ name, value }) => `${bytePath(name)}=${Buffer.from(value).toString("base64")}`).sort();
  return createHash("sha256").update(parts.join("\n")).digest("hex").slice(0, 16);
}
