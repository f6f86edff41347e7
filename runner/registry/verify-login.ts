import type { Credentials } from "./credentials.ts";
import { openHost } from "./open-session.ts";
import type { RegistryOptions } from "./options.ts";
import { RegistryError } from "./registry-error.ts";
import { retrying } from "./retry.ts";
import { readBody } from "./transport.ts";

const MAX_ANSWER = 64 << 10;

/** Shows credentials to a registry, which lets them in or not. */
export async function verifyLogin(domain: string, credentials: Credentials, options: RegistryOptions): Promise<void> {
  const action = `log in to ${domain}`;
  const session = await openHost(domain, { ...options, credentials });
  const { retries = 3, retryDelay = 500, signal } = options;
  try {
    await retrying({ retries, delay: retryDelay, ...(signal && { signal }) }, async () => {
      const answer = await session.request({ method: "GET", target: "", expect: [200], action });
      await readBody(answer.body, MAX_ANSWER, action);
    });
  } catch (error) {
    if (!(error instanceof RegistryError) || (error.status !== 401 && error.status !== 403)) throw error;
    throw new RegistryError(`Cannot ${action}: it does not accept the name and password`, error.status, {
      cause: error,
      hint: "some registries want a token, made on their web pages, instead of the password",
    });
  } finally {
    session.close();
  }
}
