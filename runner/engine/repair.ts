import { existsSync, renameSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { TsboxError } from "../base/error.ts";
import type { ContainerRecord } from "../container/record.ts";
import { isManifestType } from "../oci/media-types.ts";
import { parseReference, type Reference } from "../oci/reference.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import type { Identity } from "../plan/idmap.ts";
import { RegistryClient } from "../registry/client.ts";
import type { ConnectionOptions } from "../registry/options.ts";
import { BlobDownload, blobStream, putBlob } from "../store/blob-store.ts";
import { refName, SERVED_DIGEST, SOURCE } from "../store/image-index.ts";
import { storeLayout } from "../store/layout.ts";
import { leaseStore } from "../store/lease.ts";
import { stagingFolder } from "../store/staging.ts";
import { containerState } from "./container-state.ts";
import type { Engine } from "./engine.ts";
import { layerDescriptors } from "./image-layers.ts";
import { makeInitLayer } from "./init-layer.ts";
import { registryOptions } from "./registry-options.ts";
import { removeTrees } from "./remove-trees.ts";
import { findImage, loadImage, type StoredImage } from "./stored-image.ts";
import { unpackLayers } from "./unpack-image.ts";

export interface RepairOptions {
  connection?: ConnectionOptions;
  signal?: AbortSignal;
}

/** Fetches a blob or manifest by its digest from where its image came from; until it is there the damaged one stays. Tells where that was. */
export async function fetchAgain(
  engine: Engine,
  entry: Descriptor,
  descriptor: Descriptor,
  options: RepairOptions,
): Promise<string> {
  if (engine.lock.offline) throw new TsboxError("nothing is fetched offline", { code: "OFFLINE" });
  const layout = storeLayout(engine.root);
  const repository = origin(entry);
  const release = await leaseStore(layout);
  const aside = stagingFolder(layout);
  const damaged = join(aside.path, "damaged");
  const path = layout.blob(descriptor.digest);
  const client = new RegistryClient(repository, registryOptions(options.connection, options.signal));
  try {
    const isManifest = descriptor.digest === entry.digest && isManifestType(descriptor.mediaType);
    // fetched before the damaged one goes: manifests are small
    const manifest = isManifest ? await client.manifest(descriptor.digest) : undefined;
    if (existsSync(path)) renameSync(path, damaged);
    if (manifest) putBlob(layout, manifest.bytes);
    else {
      const open = (offset: number) => client.blob(descriptor, offset);
      await new BlobDownload(layout, descriptor, open, () => {}, options.signal).done;
    }
    return `fetched again from ${repository.domain}/${repository.path}`;
  } catch (error) {
    if (existsSync(damaged) && !existsSync(path)) renameSync(damaged, path);
    throw error;
  } finally {
    client.close();
    await removeTrees(engine, [aside.path], engine.identity()).catch(() => {});
    aside.release();
    release();
  }
}

function origin(entry: Descriptor): Reference {
  const source = entry.annotations?.[SOURCE];
  if (source !== undefined) return parseReference(source);
  const name = refName(entry);
  // pulled before the source was written down
  if (name !== undefined && entry.annotations?.[SERVED_DIGEST] !== undefined) return parseReference(name);
  throw new TsboxError("it came from no registry: load or import the image again", { code: "NO_SOURCE" });
}

/** Puts a damaged unpacked layer away, and unpacks it again where an image needs it. */
export async function remakeLayer(
  engine: Engine,
  folder: string,
  key: string,
  entry: Descriptor | undefined,
): Promise<string> {
  const layout = storeLayout(engine.root);
  const user = engine.containers
    .all()
    .find(
      (record) =>
        record.lowers.some((lower) => dirname(lower) === folder) && containerState(engine, record).status === "running",
    );
  if (user) throw new TsboxError(`container "${user.name}" runs on it: stop it first`, { code: "LAYER_IN_USE" });
  const release = await leaseStore(layout);
  const aside = stagingFolder(layout);
  const damaged = join(aside.path, basename(folder));
  const identity = identityOf(engine, key);
  try {
    renameSync(folder, damaged);
    if (!entry || !identity) return "removed";
    const lowers = await unpack(engine, loadImage(layout, entry), identity);
    // containers that are there have its path in their plans
    if (existsSync(join(damaged, "init"))) {
      await makeInitLayer(engine, lowers.slice(lowers.indexOf(join(folder, "root"))), identity);
    }
    return "unpacked again";
  } catch (error) {
    if (existsSync(damaged) && !existsSync(folder)) renameSync(damaged, folder);
    throw error;
  } finally {
    await removeTrees(engine, [aside.path], engine.identity()).catch(() => {});
    aside.release();
    release();
  }
}

/** The id map that a key of unpacked layers names; undefined where this caller has none of that name. */
export function identityOf(engine: Engine, key: string): Identity | undefined {
  const kept = /^keep-(\d+)-(\d+)$/.exec(key);
  const identity = engine.identity(kept ? { uid: Number(kept[1]), gid: Number(kept[2]) } : undefined);
  return identity.key === key ? identity : undefined;
}

/** The layers that a container was made on, from its image. */
export async function remakeLowers(engine: Engine, record: ContainerRecord): Promise<string> {
  const image = record.imageID === "" ? undefined : findImage(engine, record.imageID);
  if (!image) throw new TsboxError("its image is not in the store", { code: "NO_SUCH_IMAGE" });
  const release = await leaseStore(storeLayout(engine.root));
  try {
    await unpack(engine, image);
  } finally {
    release();
  }
  const gone = record.lowers.find((lower) => lower.includes("/layers/") && !existsSync(lower));
  if (gone !== undefined) throw new TsboxError(`"${gone}" was made for another id map`, { code: "OTHER_MAP" });
  return "unpacked its layers again";
}

async function unpack(engine: Engine, image: StoredImage, identity = engine.identity()): Promise<string[]> {
  const layout = storeLayout(engine.root);
  const layers = layerDescriptors(image.manifest, image.config);
  return unpackLayers(engine, identity, image.config.rootfs.diff_ids, (number) =>
    blobStream(layout, (layers[number] as { digest: Digest }).digest),
  );
}
