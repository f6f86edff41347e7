import { createHash } from "node:crypto";
import { TsboxError, visible } from "../../base/error.ts";
import type { Engine } from "../../engine/engine.ts";
import { registryOptions } from "../../engine/registry-options.ts";
import { choosePlatform, hostPlatform } from "../../oci/platform.ts";
import { formatReference, type Reference } from "../../oci/reference.ts";
import type { Descriptor, Digest } from "../../oci/types.ts";
import { isIndex, MAX_MANIFEST_SIZE, parseIndex, parseJson, parseManifest } from "../../oci/validate.ts";
import { RegistryClient } from "../../registry/client.ts";
import { RegistryError } from "../../registry/registry-error.ts";
import { rememberRepository } from "../../store/blob-origins.ts";
import { BlobDownload } from "../../store/blob-store.ts";
import type { BuiltLayer, StepResult } from "../../store/build-cache.ts";
import { storeLayout } from "../../store/layout.ts";
import type { BuildOptions } from "../options.ts";
import type { StepSource } from "./import-steps.ts";
import { parseSteps, STEPS_ANNOTATION, STEPS_TYPE } from "./step-record.ts";

const BUILDKIT = /^application\/vnd\.buildkit\.cacheconfig\./;

interface Opened {
  client: RegistryClient;
  reference: Reference;
  steps: Map<string, StepResult>;
}

/** Steps in a registry: an artifact of their own, or noted in the manifest of an image. Asked for when the first step wants to know. */
export class RegistrySteps implements StepSource {
  readonly #engine: Engine;
  readonly #references: Reference[];
  readonly #options: BuildOptions;
  readonly #note: (text: string) => void;
  #opened: Promise<Opened | undefined> | undefined;

  constructor(engine: Engine, references: Reference[], options: BuildOptions, note: (text: string) => void) {
    this.#engine = engine;
    this.#references = references;
    this.#options = options;
    this.#note = note;
  }

  get name(): string {
    return `"${visible(formatReference(this.#references[0] as Reference))}"`;
  }

  async step(key: string): Promise<StepResult | undefined> {
    this.#opened ??= this.#open();
    return (await this.#opened)?.steps.get(key);
  }

  async bring({ digest, size, mediaType }: BuiltLayer): Promise<void> {
    const opened = (await this.#opened) as Opened;
    const layout = storeLayout(this.#engine.root);
    const descriptor = { digest, size, mediaType };
    const open = (offset: number) => opened.client.blob(descriptor, offset);
    await new BlobDownload(layout, descriptor, open, () => {}, this.#options.signal).done;
    rememberRepository(layout, opened.reference, [descriptor]);
  }

  close(): void {
    this.#opened?.then((opened) => opened?.client.close());
  }

  /** What cannot be had is told once, and is as if it held nothing. */
  async #open(): Promise<Opened | undefined> {
    const [first] = this.#references as [Reference];
    if (this.#engine.lock.offline) {
      this.#note(`the cache "${visible(formatReference(first))}" is not asked: --offline forbids the network`);
      return undefined;
    }
    let failure: unknown;
    for (const reference of this.#references) {
      const client = new RegistryClient(reference, registryOptions(this.#options.connection, this.#options.signal));
      try {
        return { client, reference, steps: await readSteps(client) };
      } catch (error) {
        client.close();
        this.#options.signal.throwIfAborted();
        failure = error;
        if (!(error instanceof RegistryError) || error.status !== 404) break;
      }
    }
    const missing = failure instanceof RegistryError && failure.status === 404;
    const why = missing ? "there is none yet" : (failure as Error).message;
    this.#note(`nothing comes from the cache ${this.name}: ${why}`);
    return undefined;
  }
}

async function readSteps(client: RegistryClient): Promise<Map<string, StepResult>> {
  let { bytes } = await client.manifest();
  let value = parseJson(bytes, "its manifest");
  if (isIndex(value)) {
    const { manifests } = parseIndex(value, "its index");
    if (manifests.some(({ mediaType }) => BUILDKIT.test(mediaType))) throw ofBuildKit();
    const chosen = choosePlatform(manifests, hostPlatform());
    if (!chosen) throw none();
    ({ bytes } = await client.manifest(chosen.digest));
    value = parseJson(bytes, "its manifest");
  }
  const manifest = parseManifest(value, "its manifest");
  if (BUILDKIT.test(manifest.config.mediaType)) throw ofBuildKit();
  const text =
    manifest.config.mediaType === STEPS_TYPE
      ? await smallBlob(client, manifest.config)
      : manifest.annotations?.[STEPS_ANNOTATION];
  if (text === undefined) throw none();
  const steps = parseSteps(text, manifest.layers);
  if (steps) return steps;
  throw new TsboxError("its list of steps is damaged, or of another version", { code: "INVALID_CACHE" });
}

function ofBuildKit(): TsboxError {
  return new TsboxError("it is BuildKit's, which only BuildKit reads", { code: "INVALID_CACHE" });
}

function none(): TsboxError {
  return new TsboxError("it holds no steps of tsbox", { code: "INVALID_CACHE" });
}

async function smallBlob(client: RegistryClient, descriptor: Descriptor): Promise<string> {
  const { digest, size } = descriptor;
  const refuse = (why: string) => new TsboxError(`its list of steps ${why}`, { code: "INVALID_CACHE" });
  if (size > MAX_MANIFEST_SIZE) throw refuse(`has ${size} bytes: too large`);
  const { stream } = await client.blob(descriptor);
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of stream) {
    length += (chunk as Buffer).length;
    if (length > size) break;
    chunks.push(chunk as Buffer);
  }
  const bytes = Buffer.concat(chunks);
  const got: Digest = `sha256:${createHash("sha256").update(bytes).digest("hex")}`;
  if (length !== size || got !== digest) throw refuse(`has not the digest ${digest}`);
  return bytes.toString("utf8");
}
