import { UsageError } from "../usage-error.ts";

/** A template that cannot be read, or that asks for what the data does not have. */
export class TemplateError extends UsageError {
  constructor(message: string, hint?: string) {
    // Docker answers 64 to a template that does not parse and 1 to one that does not execute; one number is enough.
    super(message, { exitCode: 1, ...(hint === undefined ? {} : { hint }) });
  }
}

export function unreadable(at: number, why: string, hint?: string): TemplateError {
  return new TemplateError(`Cannot read template: ${why} at character ${at + 1}`, hint);
}
