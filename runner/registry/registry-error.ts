import { TsboxError, visible } from "../base/error.ts";

interface Details {
  temporary?: boolean;
  /** Milliseconds that the registry asks to wait. */
  retryAfter?: number | undefined;
  hint?: string;
  cause?: unknown;
}

/** A registry's refusal, or the failure to reach it. */
export class RegistryError extends TsboxError {
  override readonly name = "RegistryError";
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Another try may succeed. */
  readonly temporary: boolean;
  readonly retryAfter: number | undefined;

  constructor(message: string, status: number, details: Details = {}) {
    super(message, {
      code: status === 401 || status === 403 ? "REGISTRY_DENIED" : status === 404 ? "REGISTRY_NOT_FOUND" : "REGISTRY",
      ...(details.hint !== undefined && { hint: details.hint }),
      ...(details.cause !== undefined && { cause: details.cause }),
    });
    this.status = status;
    this.temporary = details.temporary ?? (status === 408 || status === 429 || status >= 500);
    this.retryAfter = details.retryAfter;
  }
}

/** The error of an answer that is not a success. `body` is its start; registries put a list of errors there. */
export function statusError(
  action: string,
  domain: string,
  status: number,
  body: string,
  retryAfter?: number,
): RegistryError {
  const told = registryWords(body);
  const word = told ? ` ${told}` : "";
  return new RegistryError(`Cannot ${action}: registry answered ${status}${word}`, status, {
    ...hintFor(status, domain),
    retryAfter,
  });
}

function hintFor(status: number, domain: string): { hint?: string } {
  if (status === 401 || status === 403) {
    return { hint: `it does not exist, or you may not: "tsbox login ${domain}" stores credentials` };
  }
  if (status === 404) return { hint: "check the name and the tag" };
  if (status === 413) return { hint: "something before the registry limits the size of a request" };
  if (status === 429) return { hint: `too many requests: wait, or use credentials ("tsbox login ${domain}")` };
  return {};
}

/** `Retry-After` in milliseconds: it counts seconds, or names a moment (RFC 9110, 10.2.3). */
export function parseRetryAfter(header: string | undefined, now: number): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const moment = Date.parse(header);
  return Number.isNaN(moment) ? undefined : Math.max(0, moment - now);
}

function registryWords(body: string): string {
  try {
    const { errors } = JSON.parse(body) as { errors?: { code?: unknown; message?: unknown }[] };
    const first = errors?.[0];
    return visible([first?.code, first?.message].filter((part) => typeof part === "string").join(": ")).slice(0, 300);
  } catch {
    return /^\s*</.test(body) ? "with a web page" : "";
  }
}
