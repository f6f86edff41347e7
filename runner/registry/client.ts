import { createHash } from "node:crypto";
import { DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST } from "../oci/media-types.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import { type BlobAnswer, blobFrom } from "./blob-answer.ts";
import { ForeignBlobs } from "./foreign-blobs.ts";
import { openSessions } from "./open-session.ts";
import { RETRIES, RETRY_DELAY, type RegistryOptions } from "./options.ts";
import { RegistryError } from "./registry-error.ts";
import { retrying } from "./retry.ts";
import type { Session } from "./session.ts";
import { readBody } from "./transport.ts";

const MAX_MANIFEST_SIZE = 4 << 20;
const ACCEPT = [OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST].join(", ");

export type { RegistryOptions } from "./options.ts";

/** A manifest or index as served: the digest is of exactly these bytes. */
export interface ServedManifest {
  bytes: Buffer;
  digest: Digest;
  mediaType: string;
}

/** One repository, for reading, wherever registries.conf says that it is (OCI distribution spec, "Pull"). */
export class RegistryClient {
  readonly #reference: Reference;
  readonly #options: RegistryOptions;
  /** Those not yet given up. */
  #sessions: Promise<Session[]> | undefined;
  #foreign: ForeignBlobs | undefined;
  /** Who was asked last for a blob. */
  #last: Session | undefined;

  constructor(reference: Reference, options: RegistryOptions = {}) {
    this.#reference = reference;
    this.#options = options;
  }

  /** The manifest of a tag or digest; a digest is verified. */
  async manifest(target: string = this.#reference.digest ?? this.#reference.tag ?? "latest"): Promise<ServedManifest> {
    const action = `pull "${formatReference(this.#reference)}"`;
    return this.#anywhere(async (session) => {
      const { path } = session.endpoint;
      const answer = await session.request({
        method: "GET",
        target: `${path}/manifests/${target}`,
        headers: { accept: ACCEPT },
        scopes: [`repository:${path}:pull`],
        expect: [200],
        action,
      });
      const bytes = await readBody(answer.body, MAX_MANIFEST_SIZE, action);
      const digest: Digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
      if (target.startsWith("sha256:") && digest !== target) {
        throw new RegistryError(`Cannot ${action}: the manifest has digest ${digest}, expected ${target}`, 0, {
          hint: "the registry, or something on the way, changed it",
        });
      }
      const type = String(answer.headers["content-type"] ?? "");
      return { bytes, digest, mediaType: type.split(";")[0]?.trim() ?? "" };
    });
  }

  /**
   * The bytes of a blob from `offset` on; `start` of the answer is where they really begin (0 when the registry ignores ranges).
   * The caller verifies the digest, and asks again when the stream breaks.
   */
  async blob(descriptor: Descriptor, offset = 0): Promise<BlobAnswer> {
    const action = `pull blob ${descriptor.digest} of "${formatReference(this.#reference)}"`;
    if (!descriptor.urls || descriptor.urls.length === 0) return this.#ownBlob(descriptor, offset, action);
    // a layer that only its maker may give away; a registry of one's own may hold it all the same
    try {
      return await this.#ownBlob(descriptor, offset, action);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      this.#foreign ??= new ForeignBlobs(this.#options);
      return this.#foreign.blob(descriptor, offset, action, error, this.#last?.secure ?? true);
    }
  }

  #ownBlob(descriptor: Descriptor, offset: number, action: string): Promise<BlobAnswer> {
    return this.#anywhere(async (session) => {
      const { path } = session.endpoint;
      this.#last = session;
      return blobFrom(descriptor, offset, action, (headers, expect) =>
        session.request({
          method: "GET",
          target: `${path}/blobs/${descriptor.digest}`,
          headers,
          scopes: [`repository:${path}:pull`],
          expect,
          action,
        }),
      );
    });
  }

  close(): void {
    this.#foreign?.close();
    this.#sessions?.then(
      (sessions) => {
        for (const session of sessions) session.close();
      },
      () => {},
    );
  }

  /** Asks the mirrors, once each, and then the registry itself, patiently. A mirror that failed is not asked again. */
  async #anywhere<T>(ask: (session: Session) => Promise<T>): Promise<T> {
    this.#sessions ??= openSessions(this.#reference, "pull", this.#options);
    const failures: RegistryError[] = [];
    for (const session of [...(await this.#sessions)]) {
      const last = !session.endpoint.mirror;
      const { retries = RETRIES, retryDelay = RETRY_DELAY, signal } = this.#options;
      const rules = { retries: last ? retries : 0, delay: retryDelay, ...(signal && { signal }) };
      try {
        return await retrying(rules, () => ask(session));
      } catch (error) {
        if (!(error instanceof RegistryError)) throw error;
        if (last) throw failures.length === 0 ? error : alsoTried(error, failures);
        failures.push(error);
        this.#sessions = this.#sessions.then((sessions) => sessions.filter((one) => one !== session));
      }
    }
    throw new RegistryError(`Cannot pull "${formatReference(this.#reference)}": there is no registry to ask`, 0);
  }
}

/** The registry's own error, with what its mirrors said as the cause. */
function alsoTried(error: RegistryError, mirrors: RegistryError[]): RegistryError {
  const cause = new Error(`its mirrors failed first: ${mirrors.map(({ message }) => message).join("; ")}`);
  return new RegistryError(error.message, error.status, {
    temporary: error.temporary,
    cause,
    ...(error.hint !== undefined && { hint: error.hint }),
  });
}
