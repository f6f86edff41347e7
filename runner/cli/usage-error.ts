import { TsboxError } from "../base/error.ts";

/** The command line itself is wrong: nothing was tried yet. */
export class UsageError extends TsboxError {
  constructor(message: string, details: { hint?: string; exitCode?: number; cause?: unknown } = {}) {
    // Docker answers 125 to a wrong flag of any verb, and 1 to a wrong verb or a wrong number of words.
    super(message, { code: "USAGE", exitCode: 125, ...details });
  }
}
