/** What a caller needs to know of a failure besides its sentence. */
export interface ErrorDetails {
  /** Stable word for programs, e.g. "IMAGE_NOT_FOUND". */
  code?: string;
  /** What the person at the keyboard can do next; printed on a line of its own. */
  hint?: string;
  cause?: unknown;
  /** Exit status of the command: 125 (tsbox failed) unless it is known better. */
  exitCode?: number;
}

/**
 * The one error class. The message says action and object, a colon, the state or cause:
 * `Cannot start container "web": state is "running", expected "created"`.
 */
export class TsboxError extends Error {
  override readonly name: string = "TsboxError";
  readonly code: string;
  readonly hint: string | undefined;
  readonly exitCode: number;

  constructor(message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = details.code ?? "ERROR";
    this.hint = details.hint;
    this.exitCode = details.exitCode ?? 125;
  }
}

/** Makes control characters of names that came from archives, registries or users visible. */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is replaced
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) => {
    const n = c.charCodeAt(0);
    return n < 0x100 ? `\\x${n.toString(16).padStart(2, "0")}` : `\\u${n.toString(16)}`;
  });
}
