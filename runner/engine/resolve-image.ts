import { existsSync } from "node:fs";
import { TsboxError, visible } from "../base/error.ts";
import { formatPlatform, hostPlatform, platformMatches } from "../oci/platform.ts";
import type { Digest, ImageConfig, Manifest, Platform } from "../oci/types.ts";
import { type Identity, idMapText } from "../plan/idmap.ts";
import type { ConnectionOptions } from "../registry/options.ts";

import { hasLayer, layerRoot, layersBelongHere } from "../store/layer-store.ts";
import { storeLayout } from "../store/layout.ts";
import type { Engine } from "./engine.ts";
import type { PullPolicy } from "./run-options.ts";
import { findImage, type StoredImage } from "./stored-image.ts";

export interface ResolveOptions {
  policy: PullPolicy;
  identity: Identity;
  platform?: Platform;
  connection?: ConnectionOptions;
}

/** An image ready to be run: its layers are unpacked. */
export interface ResolvedImage {
  imageID: Digest;
  config: ImageConfig;
  manifest: Manifest;
  /** Topmost first. */
  lowers: string[];
}

/** The way every `run` takes: a few small reads when the image is there, a pull by the policy when it is not. */
export async function resolveImage(engine: Engine, name: string, options: ResolveOptions): Promise<ResolvedImage> {
  const locked = await lockedImage(engine, name, options.platform);
  const find = () => (locked ? locked.stored() : findImage(engine, name));
  let image = find();
  if (image && options.platform && !platformMatches(options.platform, image.config)) image = undefined;
  if (name === "base") {
    image ??= await loadBase(engine);
    if (image && options.platform && !platformMatches(options.platform, image.config)) image = undefined;
  } else if (options.policy === "always" || options.policy === "newer" || (!image && options.policy === "missing")) {
    const { pull } = await import("./pull.ts");
    const follower = await engine.followPull?.(name, image !== undefined);
    if (!image && !follower) engine.warn(`image "${visible(name)}" is not in the store: pulling it`);
    await pull(engine, name, {
      policy: options.policy,
      identity: options.identity,
      ...(options.platform && { platform: formatPlatform(options.platform) }),
      ...(options.connection && { connection: options.connection }),
      ...(follower && { onProgress: (event) => follower.update(event) }),
    }).finally(() => follower?.end());
    image = find();
  }
  if (!image) {
    const wanted = options.platform ? ` for ${formatPlatform(options.platform)}` : "";
    throw new TsboxError(`Cannot run "${visible(name)}"${wanted}: the image is not in the store`, {
      code: "NO_SUCH_IMAGE",
      hint:
        name === "base" ? "base is built for this machine only" : 'get it by "tsbox pull", or leave out --pull never',
    });
  }
  const here = hostPlatform();
  if (!options.platform && image.config.architecture !== here.architecture) {
    engine.warn(
      `image "${visible(name)}" is for ${formatPlatform(image.config)}, this machine is ${formatPlatform(here)}`,
    );
  }
  const { id: imageID, config, manifest } = image;
  return { imageID, config, manifest, lowers: await lowersOf(engine, image, options.identity) };
}

/** What the project's lock file says the name means. Without lock file all of it is one look for a file. */
async function lockedImage(engine: Engine, name: string, platform: Platform | undefined) {
  const { path, named, frozen } = engine.lock;
  if (!named && !frozen && !existsSync(path)) return undefined;
  const { checkNotDrifted, lockableName, pinned, storedPin } = await import("./lock/pinned.ts");
  const reference = await lockableName(engine, name);
  const pin = reference && pinned(engine, reference, platform);
  if (!pin) return undefined;
  checkNotDrifted(engine, name, pin, platform);
  return { stored: () => storedPin(engine, pin, platform) };
}

async function lowersOf(engine: Engine, image: StoredImage, identity: Identity): Promise<string[]> {
  const layout = storeLayout(engine.root);
  const diffIDs = image.config.rootfs.diff_ids;
  // a single layer is its own chain: nothing to compute
  const chain = diffIDs.length === 1 ? diffIDs : (await import("../oci/chain.ts")).chainIDs(diffIDs);
  const mine = layersBelongHere(layout, identity.key, idMapText(identity));
  if (mine && chain.every((chainID) => hasLayer(layout, identity.key, chainID))) {
    return chain.map((chainID) => layerRoot(layout, identity.key, chainID)).reverse();
  }
  // unpacked for another id map or on another machine, or removed by hand: the blobs are there
  const { unpackLayers } = await import("./unpack-image.ts");
  const { blobFile } = await import("../store/blob-store.ts");
  const { layerDescriptors } = await import("./image-layers.ts");
  const layers = layerDescriptors(image.manifest, image.config);
  return unpackLayers(engine, identity, diffIDs, (number) =>
    blobFile(layout, (layers[number] as { digest: Digest }).digest),
  );
}

async function loadBase(engine: Engine): Promise<StoredImage | undefined> {
  const { load } = await import("./load.ts");
  const { builtFolder } = await import("../helper/locate.ts");
  await load(engine, { path: `${builtFolder()}/base.tar` });
  return findImage(engine, "base");
}
