import { renameSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { TsboxError } from "../base/error.ts";
import { type PackTarResult, packTar } from "../layers/pack.ts";
import type { Op } from "../plan/types.ts";
import { containerIdentity } from "./container-identity.ts";
import { containerTree, mergedOps } from "./container-tree.ts";
import type { Engine } from "./engine.ts";
import { mergedOwners, packing } from "./pack-layer.ts";
import { writeChunks } from "./write-chunks.ts";
import { writeStdout } from "./write-stdout.ts";

export interface ExportOptions {
  /** Absent: standard output. */
  path?: string;
  /** Seconds since 1970: no time in the archive is later. */
  sourceDateEpoch?: number;
  signal?: AbortSignal;
}

/** Writes what a container sees of its own files, without its mounts, as a tar. The same tree gives the same bytes. A file gets its name when it is complete. */
export async function exportContainer(engine: Engine, word: string, options: ExportOptions): Promise<void> {
  const record = engine.containers.find(word);
  const identity = containerIdentity(engine, record);
  let ops: Op[];
  let trueEntry = {};
  if (record.image === "" && record.imageID === "") {
    // --rootfs: the tree is there as it is
    ops = [{ op: "pack", root: record.lowers[0] as string, init: "", flags: ["tree"], lowers: [] }];
  } else {
    const tree = containerTree(engine, record, "export");
    ops = mergedOps(tree.target, [tree.upper, ...tree.lowers]);
    const owners = await mergedOwners({ ...tree, ...(options.signal && { signal: options.signal }) });
    if (owners.any) trueEntry = { trueEntry: owners.find.bind(owners) };
  }
  const { sourceDateEpoch } = options;
  const tarOptions = { ...trueEntry, ...(sourceDateEpoch !== undefined && { sourceDateEpoch }) };
  const result: PackTarResult = { size: 0, entries: 0, exact: true };
  await packing(identity, ops, options.signal, (records) => write(packTar(records, tarOptions, result), options));
}

async function write(tar: AsyncIterable<Buffer>, { path, signal }: ExportOptions): Promise<void> {
  if (path === undefined) return writeStdout(tar, signal);
  // a pipe or /dev/stdout is written to, not replaced
  const special = statSync(path, { throwIfNoEntry: false });
  const staged = special && !special.isFile() && !special.isDirectory() ? path : `${path}.${process.pid}.part`;
  try {
    const file = await open(staged, staged === path ? "w" : "wx");
    try {
      await writeChunks(file, tar, signal);
    } finally {
      await file.close();
    }
    if (staged !== path) renameSync(staged, path);
  } catch (error) {
    if (staged !== path) rmSync(staged, { force: true });
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (error instanceof TsboxError || syscall === undefined) throw error;
    throw new TsboxError(`Cannot export to "${path}": ${STATES[code ?? ""] ?? code}`, {
      code: "NOT_WRITABLE",
      cause: error,
      exitCode: 1,
    });
  }
}

const STATES: Record<string, string> = {
  ENOENT: "its folder does not exist",
  ENOTDIR: "its folder is a file",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
};
