import { createReadStream } from "node:fs";
import { TsboxError } from "../base/error.ts";
import { layerRecord, RecordKind } from "../layers/abi.ts";
import { decompressArchive, sniffArchive } from "../layers/decompress.ts";
import { readEntries } from "../layers/reader.ts";
import type { OutgoingEntry } from "../layers/writer.ts";
import { isGitAddress } from "./context/git-address.ts";
import type { Found, SourceTree } from "./context/source-tree.ts";
import { type CopySource, collect } from "./copy-files.ts";
import type { CopyInstruction } from "./dockerfile/types.ts";
import type { BuildWorld } from "./stage-builder.ts";
import { TreeSource } from "./tree-source.ts";

/** What ADD can fetch: a file by HTTP, a git repository. Undefined: the word is a path. */
export async function collectAdd(
  world: BuildWorld,
  one: CopyInstruction,
  word: string,
  exclude: string[],
  refuse: (why: string, hint?: string) => Error,
): Promise<CopySource[] | undefined> {
  if (isGitAddress(word)) {
    if (one.checksum) throw refuse("a checksum is for files: name a commit behind # instead");
    const { gitTree } = await import("./context/git.ts");
    const tree = await gitTree(world, word, { keepGitDir: one.keepGitDir });
    const [found] = tree.find("");
    if (!found) throw refuse("the repository is empty");
    return [new TreeSource(tree, found, found.named, exclude, world.cache)];
  }
  if (!/^https?:\/\//i.test(word)) {
    if (one.checksum) throw refuse("--checksum is for what is fetched");
    return undefined;
  }
  const name = nameOf(word);
  if (name === undefined)
    throw refuse("the address names no file", "add the file's name, or COPY what was fetched otherwise");
  const { putFile } = await import("./context/fetch.ts");
  const file = await putFile(world, word, name);
  const expected = one.checksum?.text;
  if (expected !== undefined && expected !== `sha256:${file.digest}`) {
    throw refuse(
      `what was fetched has sha256:${file.digest}, not ${expected}`,
      "the file changed, or the checksum is another's",
    );
  }
  if (one.unpack === true) return [fileArchive(file.path, name, file.digest)];
  const record = layerRecord(RecordKind.FILE, {
    size: file.size,
    data: file.size,
    mode: 0o600,
    mtimeSeconds: file.modified,
  });
  const content = () => createReadStream(file.path, { highWaterMark: 1 << 20 });
  return [{ kind: "file", name: name, entry: { path: "", record, digest: () => file.digest, content } }];
}

/** The last part of an address's path, if a file can have that name. */
function nameOf(address: string): string | undefined {
  try {
    const name = decodeURIComponent(new URL(address).pathname.split("/").at(-1) ?? "");
    return name === "" || name === "." || name === ".." || /[/\0]/.test(name) ? undefined : name;
  } catch {
    return undefined;
  }
}

/** A file of the context as an archive, if it is one: ADD takes it apart. */
export async function archiveSource(tree: SourceTree, found: Found): Promise<CopySource | undefined> {
  const [entry] = await collect(tree, found, []);
  if (!entry?.content) return undefined;
  const open = async function* () {
    yield* (entry.content as NonNullable<typeof entry.content>)();
  };
  if (!(await isTar(open, found.named))) return undefined;
  const name = found.named.split("/").at(-1) ?? "";
  return { kind: "archive", name, digest: () => entry.digest?.() ?? "", entries: () => archiveEntries(open()) };
}

function fileArchive(path: string, name: string, digest: string): CopySource {
  return { kind: "archive", name, digest: () => digest, entries: () => archiveEntries(createReadStream(path)) };
}

/** By its first block once decompressed, whatever its name. */
async function isTar(open: () => AsyncIterable<Uint8Array>, name: string): Promise<boolean> {
  let head = Buffer.alloc(0);
  try {
    for await (const chunk of open()) {
      head = Buffer.from(chunk);
      break;
    }
    if (sniffArchive(head) !== "none") {
      head = Buffer.alloc(0);
      for await (const chunk of decompressArchive(open())) {
        head = Buffer.concat([head, chunk]);
        if (head.length >= 512) break;
      }
    }
  } catch (error) {
    // lzip and the like: only an archive's name says that it is one
    if (error instanceof TsboxError && error.code === "UNSUPPORTED_COMPRESSION" && /\.(tar\.\w+|t[xb]z2?)$/.test(name))
      throw error;
    return false;
  }
  if (head.length < 512) return false;
  const stored = Number.parseInt(
    head
      .toString("latin1", 148, 156)
      .replace(/[\0 ]+/g, " ")
      .trim(),
    8,
  );
  let sum = 0;
  for (let at = 0; at < 512; at++) sum += at >= 148 && at < 156 ? 32 : (head[at] as number);
  return stored === sum && sum > 256;
}

async function* archiveEntries(source: AsyncIterable<Uint8Array>): AsyncGenerator<OutgoingEntry> {
  for await (const { record, content } of readEntries(decompressArchive(source), { whiteouts: false })) {
    if (record.kind === RecordKind.FILE) {
      yield { record: { ...record, flags: 0, data: record.size }, content };
    } else yield { record };
  }
}
