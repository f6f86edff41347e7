import { visible } from "../base/error.ts";
import type { Descriptor } from "../oci/types.ts";
import { type BlobAnswer, blobFrom } from "./blob-answer.ts";
import { RETRIES, RETRY_DELAY, type RegistryOptions } from "./options.ts";
import { RegistryError } from "./registry-error.ts";
import { retrying } from "./retry.ts";
import { Transport } from "./transport.ts";

/** More are not tried: the list comes from a stranger. */
const MAX_URLS = 16;

/**
 * Layers that registries may not pass on: the manifest names addresses of their maker. They are strangers: nobody's credentials are shown to them, and where the
 * registry speaks HTTPS they must, too. What they send is worth something only by its digest, which the caller verifies.
 */
export class ForeignBlobs {
  readonly #options: RegistryOptions;
  readonly #transports = new Map<string, Transport>();

  constructor(options: RegistryOptions) {
    this.#options = options;
  }

  /** From the first address that has it. `refusal` is what the registry said, `secure` whether by HTTPS. */
  async blob(
    descriptor: Descriptor,
    offset: number,
    action: string,
    refusal: RegistryError,
    secure: boolean,
  ): Promise<BlobAnswer> {
    const { retries = RETRIES, retryDelay = RETRY_DELAY, signal } = this.#options;
    const rules = { retries, delay: retryDelay, ...(signal && { signal }) };
    const failures = [refusal.message];
    for (const address of (descriptor.urls ?? []).slice(0, MAX_URLS)) {
      try {
        const url = checked(address, action, secure);
        return await retrying(rules, () =>
          blobFrom(descriptor, offset, action, async (headers, expect) => {
            const answer = await this.#transport(url.host).send({ method: "GET", url, headers, action });
            if (expect.includes(answer.status)) return answer;
            answer.body.resume();
            throw new RegistryError(`Cannot ${action}: ${visible(url.host)} answered ${answer.status}`, answer.status);
          }),
        );
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        failures.push(error.message);
      }
    }
    throw new RegistryError(`Cannot ${action}: neither its registry nor the addresses in its manifest serve it`, 0, {
      cause: new Error(failures.join("; ")),
      hint: "its maker lets no registry pass it on, and may have moved it; --debug tells what each one answered",
    });
  }

  close(): void {
    for (const transport of this.#transports.values()) transport.close();
  }

  #transport(host: string): Transport {
    let found = this.#transports.get(host);
    if (!found) {
      const { env = process.env, signal } = this.#options;
      // what was allowed of the registry was not allowed of these
      found = new Transport({ host, verify: true, env, signal });
      this.#transports.set(host, found);
    }
    return found;
  }
}

function checked(address: string, action: string, secure: boolean): URL {
  const shown = visible(String(address));
  if (typeof address !== "string" || !URL.canParse(address)) {
    throw new RegistryError(`Cannot ${action}: "${shown}" is no address`, 0);
  }
  const url = new URL(address);
  if (url.protocol !== "https:" && (secure || url.protocol !== "http:")) {
    throw new RegistryError(`Cannot ${action}: "${shown}" is not HTTPS`, 0);
  }
  // would be sent as credentials, which nobody gave us
  url.username = "";
  url.password = "";
  return url;
}
