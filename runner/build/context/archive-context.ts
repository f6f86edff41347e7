import { createReadStream, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { TsboxError, visible } from "../../base/error.ts";
import { applyEntries } from "../../engine/apply-entries.ts";
import { RecordKind } from "../../layers/abi.ts";
import { decompressArchive, sniffArchive } from "../../layers/decompress.ts";
import { readEntries } from "../../layers/reader.ts";
import type { OutgoingEntry } from "../../layers/writer.ts";
import { ignoreOf } from "../ignore.ts";
import { scratchFolder } from "../scratch-folder.ts";
import type { BuildWorld } from "../stage-builder.ts";
import { HashCache } from "./hash-cache.ts";
import { LocalTree } from "./local-tree.ts";
import { all } from "./open-context.ts";

type ArchiveWorld = Pick<BuildWorld, "engine" | "identity" | "trash" | "options">;

/** A tar is the context; any other text is a Dockerfile without one. */
export async function archiveOrDockerfile(
  world: ArchiveWorld,
  source: AsyncIterable<Uint8Array>,
  given: string | undefined,
): Promise<{ folder: string; given: string | undefined }> {
  const folder = join(scratchFolder(world), "context");
  mkdirSync(folder, { mode: 0o711 });
  const iterator = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let length = 0;
  while (length < 512) {
    const { done, value } = await iterator.next();
    if (done) break;
    head.push(value);
    length += value.length;
  }
  const start = Buffer.concat(head);
  async function* whole() {
    yield start;
    for (;;) {
      const { done, value } = await iterator.next();
      if (done) return;
      yield value;
    }
  }
  const isTar = sniffArchive(start) !== "none" || start.subarray(257, 262).toString("latin1") === "ustar";
  if (!isTar) return { folder, given: given ?? (await all(whole())) };
  await applyEntries(world.identity, folder, contextEntries(whole()), world.options.signal);
  return { folder, given };
}

/** `--build-context NAME=https://…`: an archive as a tree to copy from. */
export async function fetchedTree(world: ArchiveWorld, address: string): Promise<LocalTree> {
  const { putFile } = await import("./fetch.ts");
  const file = await putFile(world, address, address);
  const bytes = createReadStream(file.path, { highWaterMark: 1 << 20 });
  const { folder, given } = await archiveOrDockerfile(world, bytes, undefined);
  if (given !== undefined) {
    throw new TsboxError(`Cannot use "${visible(address)}": it is not an archive`, { code: "NO_CONTEXT", exitCode: 1 });
  }
  const hashes = new HashCache(join(dirname(folder), "hashes"));
  return new LocalTree(folder, ignoreOf([]), hashes, `"${visible(address)}"`);
}

/** Who owns a file of the context is of no account, but the caller must be able to read it. */
async function* contextEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<OutgoingEntry> {
  for await (const { record, content } of readEntries(decompressArchive(source), { whiteouts: false })) {
    const readable = record.kind === RecordKind.DIRECTORY ? 0o700 : record.kind === RecordKind.FILE ? 0o400 : 0;
    const own = { ...record, uid: 0, gid: 0, mode: record.mode | readable };
    if (record.kind === RecordKind.FILE) yield { record: { ...own, flags: 0, data: record.size }, content };
    else if (record.kind !== RecordKind.CHARACTER && record.kind !== RecordKind.BLOCK) yield { record: own };
  }
}
