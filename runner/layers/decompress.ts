import { createGunzip } from "node:zlib";
import { TsboxError } from "../base/error.ts";
import { type ByteSource, iterate } from "./reader.ts";
import { throughTransform } from "./transform.ts";
import { unzstd } from "./zstd.ts";

export type Compression = "gzip" | "zstd" | "none";

/** Long enough for every signature below. */
export const HEAD = 6;

const REFUSED: readonly [name: string, signature: readonly number[]][] = [
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]],
  ["bzip2", [0x42, 0x5a, 0x68]],
  ["lz4", [0x04, 0x22, 0x4d, 0x18]],
  ["lzip", [0x4c, 0x5a, 0x49, 0x50]],
  ["compress", [0x1f, 0x9d]],
  ["zip", [0x50, 0x4b, 0x03, 0x04]],
];

/** By the first bytes: media types and file names are often wrong, and every other tool goes by these. */
export function sniff(head: Uint8Array): Compression {
  const starts = (signature: readonly number[]) => signature.every((byte, i) => head[i] === byte);
  if (starts([0x1f, 0x8b])) return "gzip";
  if (starts([0x28, 0xb5, 0x2f, 0xfd])) return "zstd";
  // A frame that decoders skip; some writers put one first.
  if (starts([head[0] ?? 0, 0x2a, 0x4d, 0x18]) && ((head[0] ?? 0) & 0xf0) === 0x50) return "zstd";
  const refused = REFUSED.find(([, signature]) => starts(signature));
  if (!refused) return "none";
  throw new TsboxError(`Cannot decompress archive: it is compressed by ${refused[0]}, expected gzip, zstd or none`, {
    code: "UNSUPPORTED_COMPRESSION",
    hint: "decompress it first, or compress it by gzip or zstd",
  });
}

/** Of an archive that is no layer: docker takes more of those. */
export function sniffArchive(head: Uint8Array): Compression | "xz" | "bzip2" {
  const [name] = REFUSED.find(([, signature]) => signature.every((byte, i) => head[i] === byte)) ?? [];
  return name === "xz" || name === "bzip2" ? name : sniff(head);
}

/** The source again, and what its first bytes say. */
async function look<T>(
  source: ByteSource,
  tell: (head: Uint8Array) => T,
): Promise<{ compression: T; whole: AsyncGenerator<Uint8Array> }> {
  const chunks = iterate(source);
  const first: Uint8Array[] = [];
  let length = 0;
  async function* whole(): AsyncGenerator<Uint8Array> {
    let complete = false;
    try {
      yield* first;
      for (;;) {
        const { done, value } = await chunks.next();
        if (done) break;
        yield value;
      }
      complete = true;
    } finally {
      if (!complete) await chunks.return?.();
    }
  }
  while (length < HEAD) {
    const { done, value } = await chunks.next();
    if (done) break;
    first.push(value);
    length += value.length;
  }
  try {
    return { compression: tell(Buffer.concat(first)), whole: whole() };
  } catch (error) {
    await chunks.return?.();
    throw error;
  }
}

/** Plain bytes of a source that may be compressed by gzip (also several members in a row) or zstd. */
export async function* decompress(source: ByteSource): AsyncGenerator<Uint8Array> {
  const { compression, whole } = await look(source, sniff);
  if (compression === "gzip") yield* throughTransform(whole, createGunzip);
  else if (compression === "zstd") yield* unzstd(whole);
  else yield* whole;
}

/** The same of an archive that is no layer, also by xz or bzip2. */
export async function* decompressArchive(source: ByteSource): AsyncGenerator<Uint8Array> {
  const { compression, whole } = await look(source, sniffArchive);
  if (compression === "xz") yield* (await import("./xz.ts")).unxz(whole);
  else if (compression === "bzip2") yield* (await import("./bunzip2.ts")).bunzip2(whole);
  else yield* decompress(whole);
}
