import { statfsSync } from "node:fs";
import { diskFault, isFull } from "../base/disk-fault.ts";
import { TsboxError, visible } from "../base/error.ts";

const HINT = '"tsbox builder prune" and "tsbox rmi" make room in the store; the steps that ended are kept';

/** So little is none: no file of more than a few blocks can be written. */
const NOTHING = 256 << 10;

/** A full disk is told as such, wherever it struck. */
export function explainedFull(error: unknown): unknown {
  if (error instanceof TsboxError) return error;
  const fault = diskFault(error);
  if (!fault) return error;
  const { path } = error as NodeJS.ErrnoException;
  const place = path === undefined ? "" : ` ("${visible(path)}")`;
  return new TsboxError(`Cannot build: ${fault.state}${place}`, {
    code: "NO_SPACE",
    cause: error,
    hint: isFull(error) ? HINT : fault.hint,
    exitCode: 1,
  });
}

/** What may have made a step fail: programs tell it in many ways, or not at all. */
export function fullStoreHint(root: string): string | undefined {
  try {
    const { bavail, bsize, ffree, files } = statfsSync(root);
    const full = bavail * bsize < NOTHING || (files > 0 && ffree === 0);
    return full ? `the disk of the store is full: ${HINT}` : undefined;
  } catch {
    return undefined;
  }
}

/** What is only remembered for another time may be lost where there is no room for it. */
export function unlessFull(remember: () => void): void {
  try {
    remember();
  } catch (error) {
    if (!isFull(error)) throw error;
  }
}
