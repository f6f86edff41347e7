import type { Readable } from "node:stream";
import { visible } from "../base/error.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import { openSessions } from "./open-session.ts";
import { RETRIES, RETRY_DELAY, type RegistryOptions } from "./options.ts";
import { RegistryError } from "./registry-error.ts";
import { type RetryRules, retrying } from "./retry.ts";
import type { Session } from "./session.ts";
import { type Answer, bodyOf, readBody } from "./transport.ts";

const MAX_ANSWER = 64 << 10;

/** How a blob came to be in the repository. */
export type Uploaded = { how: "exists" } | { how: "mounted"; from: string } | { how: "pushed" };

export interface BlobSource {
  descriptor: Descriptor;
  /** The bytes from an offset on. */
  open(offset: number): Readable;
  /** Repositories of the same registry that have had it. */
  known: string[];
  onProgress(bytes: number): void;
}

/** An upload that the registry has begun. */
interface Upload {
  url: URL;
  /** Bytes that it has. */
  offset: number;
  /** It was taken up again after a break. */
  resumed: boolean;
}

/** One repository, for writing (OCI distribution spec, "Push"). */
export class RegistryWriter {
  readonly #reference: Reference;
  readonly #session: Session;
  readonly #rules: RetryRules;
  readonly #scope: string;

  static async open(reference: Reference, options: RegistryOptions): Promise<RegistryWriter> {
    const [session] = await openSessions(reference, "push", options);
    const writer = new RegistryWriter(reference, session as Session, options);
    try {
      await writer.#greet();
      return writer;
    } catch (error) {
      writer.close();
      throw error;
    }
  }

  private constructor(reference: Reference, session: Session, options: RegistryOptions) {
    const { retries = RETRIES, retryDelay = RETRY_DELAY, signal } = options;
    this.#reference = reference;
    this.#session = session;
    this.#rules = { retries, delay: retryDelay, ...(signal && { signal }) };
    this.#scope = `repository:${session.endpoint.path}:pull,push`;
  }

  close(): void {
    this.#session.close();
  }

  /** One small request first: it finds out how the registry is reached and asks who we are, before many go out at once. */
  async #greet(): Promise<void> {
    const action = `push "${formatReference(this.#reference)}"`;
    await retrying(this.#rules, async () => {
      const answer = await this.#session.request({
        method: "GET",
        target: "",
        scopes: [this.#scope],
        // some registries have nothing there
        expect: [200, 404],
        action,
      });
      await readBody(answer.body, MAX_ANSWER, action);
    });
  }

  /** Makes the repository have a blob, by the cheapest way: it is there, another repository has it, or it is sent. */
  async blob(source: BlobSource): Promise<Uploaded> {
    const { digest, size } = source.descriptor;
    if (await this.hasBlob(source.descriptor)) return { how: "exists" };
    const action = `push blob ${digest} to "${this.#name}"`;
    let upload: Upload | undefined;
    let best = 0;
    // a connection that breaks again and again, but brings each time some more, is no failure yet
    const progressed = () => {
      const more = (upload?.offset ?? 0) > best;
      best = Math.max(best, upload?.offset ?? 0);
      return more;
    };
    return retrying({ ...this.#rules, progressed }, async (): Promise<Uploaded> => {
      upload = upload && (await this.#resume(upload, size, action));
      if (!upload) {
        const begun = await this.#begin(source, action);
        if ("from" in begun) return { how: "mounted", from: begun.from };
        upload = begun;
      }
      try {
        if (upload.offset < size) upload = await this.#send(source, upload, action);
        await this.#finish(upload, digest, action);
        return { how: "pushed" };
      } catch (error) {
        if (!(error instanceof RegistryError) || error.status === 0 || error.temporary) throw error;
        const lost = upload.resumed && [400, 404, 416].includes(error.status);
        upload = undefined;
        // the registry does not find its way back into what it had begun: from the start, then
        if (lost) throw new RegistryError(error.message, error.status, { temporary: true, cause: error });
        throw error;
      }
    });
  }

  async hasBlob({ digest, size }: Descriptor): Promise<boolean> {
    const action = `push blob ${digest} to "${this.#name}"`;
    return retrying(this.#rules, async () => {
      const answer = await this.#session.request({
        method: "HEAD",
        target: `${this.#path}/blobs/${digest}`,
        scopes: [this.#scope],
        expect: [200, 404],
        action,
      });
      answer.body.resume();
      const length = answer.headers["content-length"];
      return answer.status === 200 && (length === undefined || Number(length) === size);
    });
  }

  /** Gives the repository a manifest, byte for byte, under a tag or its digest. */
  async manifest(target: string, mediaType: string, bytes: Buffer, digest: Digest): Promise<void> {
    const action = `push "${formatReference(this.#reference)}"`;
    await retrying(this.#rules, async () => {
      const answer = await this.#session.request({
        method: "PUT",
        target: `${this.#path}/manifests/${target}`,
        headers: { "content-type": mediaType },
        body: bodyOf(bytes),
        scopes: [this.#scope],
        expect: [200, 201, 202],
        action,
      });
      await readBody(answer.body, MAX_ANSWER, action);
      const told = answer.headers["docker-content-digest"];
      if (told !== undefined && told !== digest) {
        throw new RegistryError(
          `Cannot ${action}: the registry keeps ${visible(String(told))}, but ${digest} was sent`,
          0,
          { hint: "the registry, or something on the way, changed the manifest" },
        );
      }
    });
  }

  get #path(): string {
    return this.#session.endpoint.path;
  }

  get #name(): string {
    return `${this.#reference.domain}/${this.#reference.path}`;
  }

  /** Asks to take the blob from another repository; the registry may do so, or begin an upload. */
  async #begin({ descriptor, known }: BlobSource, action: string): Promise<Upload | { from: string }> {
    const [from] = known.filter((path) => path !== this.#path);
    if (from !== undefined) {
      const query = new URLSearchParams({ mount: descriptor.digest, from });
      try {
        const answer = await this.#post(`?${query}`, [this.#scope, `repository:${from}:pull`], action);
        if (answer.status === 201) return { from };
        return { url: this.#session.location(answer, action), offset: 0, resumed: false };
      } catch (error) {
        // it is no error that we may not read the other one
        if (!(error instanceof RegistryError) || error.status < 400 || error.temporary) throw error;
      }
    }
    const answer = await this.#post("", [this.#scope], action);
    return { url: this.#session.location(answer, action), offset: 0, resumed: false };
  }

  async #post(query: string, scopes: string[], action: string): Promise<Answer> {
    const answer = await this.#session.request({
      method: "POST",
      target: `${this.#path}/blobs/uploads/${query}`,
      body: bodyOf(Buffer.alloc(0)),
      scopes,
      expect: query === "" ? [202] : [201, 202],
      action,
    });
    await readBody(answer.body, MAX_ANSWER, action);
    return answer;
  }

  /** How much of a broken upload arrived; undefined where the registry has forgotten it. */
  async #resume(upload: Upload, size: number, action: string): Promise<Upload | undefined> {
    try {
      const answer = await this.#session.request({
        method: "GET",
        target: upload.url,
        scopes: [this.#scope],
        expect: [202, 204],
        action,
      });
      await readBody(answer.body, MAX_ANSWER, action);
      const end = /^(?:bytes=)?0-(\d+)$/.exec(String(answer.headers.range ?? ""))?.[1];
      const offset = end === undefined ? 0 : Number(end) + 1;
      // "0-0" is how registries tell that there is nothing: a single byte is sent again
      const has = offset === 1 ? 0 : offset;
      if (has === 0 || has > size) return undefined;
      const url = answer.headers.location === undefined ? upload.url : this.#session.location(answer, action);
      return { url, offset: has, resumed: true };
    } catch (error) {
      if (error instanceof RegistryError && !error.temporary) return undefined;
      throw error;
    }
  }

  async #send({ descriptor, open, onProgress }: BlobSource, upload: Upload, action: string): Promise<Upload> {
    const { offset } = upload;
    const answer = await this.#session.request({
      method: "PATCH",
      target: upload.url,
      headers: {
        "content-type": "application/octet-stream",
        ...(offset > 0 && { "content-range": `${offset}-${descriptor.size - 1}` }),
      },
      body: { length: descriptor.size - offset, open: () => counted(open(offset), offset, onProgress) },
      scopes: [this.#scope],
      expect: [201, 202, 204],
      action,
    });
    await readBody(answer.body, MAX_ANSWER, action);
    return { ...upload, url: this.#session.location(answer, action), offset: descriptor.size };
  }

  async #finish({ url }: Upload, digest: Digest, action: string): Promise<void> {
    const target = new URL(url);
    // not by searchParams, which would write anew what the registry had put there
    target.search += `${target.search === "" ? "?" : "&"}digest=${encodeURIComponent(digest)}`;
    const answer = await this.#session.request({
      method: "PUT",
      target,
      headers: { "content-type": "application/octet-stream" },
      body: bodyOf(Buffer.alloc(0)),
      scopes: [this.#scope],
      expect: [201, 204],
      action,
    });
    await readBody(answer.body, MAX_ANSWER, action);
  }
}

function counted(stream: Readable, offset: number, onProgress: (bytes: number) => void): Readable {
  let sent = offset;
  return stream.on("data", (chunk: Buffer) => {
    sent += chunk.length;
    onProgress(sent);
  });
}
