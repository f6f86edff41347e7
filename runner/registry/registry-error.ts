import { TsboxError, visible } from "../base/error.ts";

/** A registry's refusal, or the failure to reach it. */
export class RegistryError extends TsboxError {
  override readonly name = "RegistryError";
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Another try may succeed. */
  readonly temporary: boolean;

  constructor(message: string, status: number, details: { temporary?: boolean; hint?: string; cause?: unknown } = {}) {
    super(message, {
      code: status === 401 || status === 403 ? "REGISTRY_DENIED" : status === 404 ? "REGISTRY_NOT_FOUND" : "REGISTRY",
      ...(details.hint !== undefined && { hint: details.hint }),
      ...(details.cause !== undefined && { cause: details.cause }),
    });
    this.status = status;
    this.temporary = details.temporary ?? (status === 429 || status >= 500);
  }
}

/** The error of an answer that is not a success. `body` is its start; registries put a list of errors there. */
export function statusError(action: string, domain: string, status: number, body: string): RegistryError {
  const told = registryWords(body);
  const word = told ? ` ${told}` : "";
  return new RegistryError(`Cannot ${action}: registry answered ${status}${word}`, status, hintFor(status, domain));
}

function hintFor(status: number, domain: string): { hint?: string } {
  if (status === 401 || status === 403) {
    return { hint: `it does not exist, or needs credentials: put them into ~/.docker/config.json for ${domain}` };
  }
  if (status === 404) return { hint: "check the name and the tag" };
  if (status === 429) return { hint: "too many requests: wait, or use credentials" };
  return {};
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
