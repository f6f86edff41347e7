import { renameSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { TsboxError } from "../base/error.ts";
import { writeChunks } from "./write-chunks.ts";
import { writeStdout } from "./write-stdout.ts";

const STATES: Record<string, string> = {
  ENOENT: "its folder does not exist",
  ENOTDIR: "its folder is a file",
  EISDIR: "it is a folder",
  EACCES: "permission denied",
  EROFS: "the file system is read-only",
  ENOSPC: "the disk is full",
};

/**
 * Writes an archive to standard output (no `path`) or to a file, which gets its name when it is complete. `action` is what a failure says was
 * being done: "save", "export".
 */
export async function writeOutput(
  action: string,
  path: string | undefined,
  chunks: AsyncIterable<Uint8Array>,
  signal?: AbortSignal,
): Promise<void> {
  if (path === undefined) return writeStdout(chunks, signal);
  // a pipe or /dev/stdout is written to, not replaced
  const special = statSync(path, { throwIfNoEntry: false });
  const staged = special && !special.isFile() && !special.isDirectory() ? path : `${path}.${process.pid}.part`;
  try {
    const file = await open(staged, staged === path ? "w" : "wx");
    try {
      await writeChunks(file, chunks, signal);
    } finally {
      await file.close();
    }
    if (staged !== path) renameSync(staged, path);
  } catch (error) {
    if (staged !== path) rmSync(staged, { force: true });
    throw unwritable(action, path, error);
  }
}

/** What the system says of the file that is being written; errors with a sentence of their own pass as they are. */
export function unwritable(action: string, path: string, error: unknown): unknown {
  const { code = "", syscall } = error as NodeJS.ErrnoException;
  if (error instanceof TsboxError || syscall === undefined) return error;
  return new TsboxError(`Cannot ${action} to "${path}": ${STATES[code] ?? code}`, {
    code: "NOT_WRITABLE",
    cause: error,
    exitCode: 1,
  });
}
