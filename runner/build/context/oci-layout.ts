import { createReadStream, existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { TsboxError, visible } from "../../base/error.ts";
import type { Engine } from "../../engine/engine.ts";
import { checkIsImage, layerDescriptors } from "../../engine/image-layers.ts";
import { unpackLayers } from "../../engine/unpack-image.ts";
import { digestHex, isDigest } from "../../oci/digest.ts";
import { digestOf } from "../../oci/digest-of.ts";
import { choosePlatform, formatPlatform } from "../../oci/platform.ts";
import type { Descriptor, Digest, ImageConfig, Manifest, Platform } from "../../oci/types.ts";
import {
  isIndex,
  MAX_MANIFEST_SIZE,
  parseImageConfig,
  parseIndex,
  parseJson,
  parseManifest,
} from "../../oci/validate.ts";
import type { Identity } from "../../plan/idmap.ts";
import { blobFile, putBlobStream } from "../../store/blob-store.ts";
import { hasBlob } from "../../store/blobs.ts";
import { REF_NAME } from "../../store/image-index.ts";
import { makeStore, storeLayout } from "../../store/layout.ts";

/** `oci-layout://PATH[:TAG][@DIGEST]`. */
export interface LayoutAddress {
  path: string;
  tag?: string;
  digest?: Digest;
}

export interface LayoutImage {
  /** Digest of the config. */
  id: Digest;
  manifest: Manifest;
  config: ImageConfig;
  /** Topmost first. */
  lowers: string[];
}

const SCHEME = "oci-layout://";

export function parseLayoutAddress(text: string): LayoutAddress {
  let path = text.slice(SCHEME.length);
  const at = path.lastIndexOf("@");
  const named = at < 0 ? undefined : path.slice(at + 1);
  if (isDigest(named)) path = path.slice(0, at);
  const tag = /:([\w][\w.-]{0,127})$/.exec(path)?.[1];
  return {
    path: tag === undefined ? path : path.slice(0, -tag.length - 1),
    ...(tag !== undefined && { tag }),
    ...(isDigest(named) && { digest: named }),
  };
}

/** An image of an OCI layout on the disk, its layers in the store and unpacked. It gets no name there: it goes when nothing is made of it. */
export async function openLayout(
  engine: Engine,
  address: LayoutAddress,
  { platform, identity, signal }: { platform: Platform; identity: Identity; signal: AbortSignal },
): Promise<LayoutImage> {
  const folder = new LayoutFolder(address.path);
  const manifest = folder.manifest(folder.chosen(address), platform);
  const what = `image config ${manifest.config.digest}`;
  const config = parseImageConfig(parseJson(folder.small(manifest.config), what), what);
  const layers = layerDescriptors(manifest, config);
  const layout = storeLayout(engine.root);
  makeStore(layout);
  for (const { digest, size } of layers) {
    signal.throwIfAborted();
    if (!hasBlob(layout, digest)) {
      const source = createReadStream(folder.blob(digest, size), { highWaterMark: 1 << 20, signal });
      await putBlobStream(layout, source, digest);
    }
  }
  const digests = layers.map(({ digest }) => digest);
  const lowers = await unpackLayers(
    engine,
    identity,
    config.rootfs.diff_ids,
    (number) => blobFile(layout, digests[number] as Digest),
    { signal, isVerified: (number) => digests[number] === config.rootfs.diff_ids[number] },
  );
  return { id: manifest.config.digest, manifest, config, lowers };
}

class LayoutFolder {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
    if (existsSync(join(path, "index.json"))) return;
    throw this.#refuse(existsSync(path) ? "it has no index.json" : "no such folder", "an OCI layout is a folder");
  }

  /** By digest, else by tag; `latest` where there is none, or the only one. */
  chosen({ tag, digest }: LayoutAddress): Descriptor {
    const what = `index.json of "${visible(this.#path)}"`;
    const { manifests } = parseIndex(parseJson(readFileSync(join(this.#path, "index.json")), what), what);
    if (digest !== undefined) {
      const listed = manifests.find((one) => one.digest === digest);
      if (listed) return listed;
      const path = join(this.#path, "blobs/sha256", digestHex(digest));
      const size = statSync(path, { throwIfNoEntry: false })?.size;
      if (size === undefined) throw this.#refuse(`it has no ${digest}`);
      return { mediaType: "", digest, size };
    }
    const tagOf = ({ annotations }: Descriptor) => annotations?.[REF_NAME]?.replace(/^.*[/:]/, "");
    const found = manifests.find((one) => tagOf(one) === (tag ?? "latest"));
    if (found) return found;
    const [only] = manifests;
    if (tag === undefined && only && manifests.length === 1) return only;
    const tags = manifests.flatMap((one) => tagOf(one) ?? []);
    throw this.#refuse(
      tag === undefined ? "it holds several images, none of them latest" : `it has no image "${visible(tag)}"`,
      tags.length > 0 ? `it has ${tags.map(visible).join(", ")}` : "name one by its digest: PATH@sha256:…",
    );
  }

  manifest(descriptor: Descriptor, platform: Platform, depth = 0): Manifest {
    const what = `${descriptor.digest} of "${visible(this.#path)}"`;
    const value = parseJson(this.small(descriptor), what);
    if (!isIndex(value)) {
      const manifest = parseManifest(value, what);
      checkIsImage(manifest, what);
      return manifest;
    }
    const chosen = depth < 3 && choosePlatform(parseIndex(value, what).manifests, platform);
    if (chosen) return this.manifest(chosen, platform, depth + 1);
    throw this.#refuse(`it has no image for ${formatPlatform(platform)}`);
  }

  /** JSON that a descriptor names. */
  small({ digest, size }: Descriptor): Buffer {
    const path = this.blob(digest, size);
    if (size > MAX_MANIFEST_SIZE) throw this.#refuse(`${digest} is too large`);
    const bytes = readFileSync(path);
    if (digestOf(bytes) !== digest) throw this.#refuse(`${digest} has another digest`, "the layout is damaged");
    return bytes;
  }

  blob(digest: Digest, size: number): string {
    const path = join(this.#path, "blobs/sha256", digestHex(digest));
    const found = statSync(path, { throwIfNoEntry: false })?.size;
    if (found === size) return path;
    const state = found === undefined ? "is not in it" : `has ${found} bytes, its descriptor says ${size}`;
    throw this.#refuse(`blob ${digest} ${state}`, "the layout is damaged, or only a part of one");
  }

  #refuse(state: string, hint?: string): TsboxError {
    return new TsboxError(`Cannot use OCI layout "${visible(this.#path)}": ${state}`, {
      code: "NO_SUCH_IMAGE",
      exitCode: 1,
      ...(hint !== undefined && { hint }),
    });
  }
}
