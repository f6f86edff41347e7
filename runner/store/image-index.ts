import { readFileSync } from "node:fs";
import { writeFileAtomic } from "../base/atomic-write.ts";
import { isFull } from "../base/disk-fault.ts";
import { TsboxError } from "../base/error.ts";
import { OCI_INDEX } from "../oci/media-types.ts";
import type { Descriptor, Index } from "../oci/types.ts";
import { lock, unlock } from "../sys/native.ts";
import { makeStore, type StoreLayout } from "./layout.ts";
import { keepReserve, spendReserve } from "./reserve.ts";

/** Where a manifest's name stands in index.json (OCI image spec, "Pre-Defined Annotation Keys"); skopeo looks there too. */
export const REF_NAME = "org.opencontainers.image.ref.name";
/** What the registry served under the name: the index, where the image is one platform of several. */
export const SERVED_DIGEST = "dev.tsbox.served-digest";
/** The repository that the image came from: where `system check` fetches again what is damaged, whatever names it has by then. */
export const SOURCE = "dev.tsbox.source";
/** The name in full that was asked for, where registries.conf had it mean another one: it finds the image, too. */
export const ASKED_NAME = "dev.tsbox.asked-name";

/** The names of the store: entries of the layout's index.json. An image without a name has an entry without that annotation. */
export function readIndex(layout: StoreLayout): Descriptor[] {
  let text: string;
  try {
    text = readFileSync(layout.index, "utf8");
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === "ENOENT") return [];
    throw new TsboxError(`Cannot read the store's index "${layout.index}": ${code}`, {
      code: "STORE",
      hint: "a store is its maker's; --root or TSBOX_ROOT names another",
      cause,
    });
  }
  try {
    const { manifests } = JSON.parse(text) as Index;
    if (Array.isArray(manifests)) return manifests;
  } catch {
    // what it is not, is said below
  }
  throw new TsboxError(`Cannot read the store's index "${layout.index}": it is damaged`, {
    code: "STORE",
    hint: '"tsbox system check --repair" makes it anew of the images that are there',
  });
}

export function refName(entry: Descriptor): string | undefined {
  return entry.annotations?.[REF_NAME];
}

/** Changes the index in one step, while no other process does. */
export async function changeIndex(layout: StoreLayout, change: (entries: Descriptor[]) => Descriptor[]): Promise<void> {
  makeStore(layout);
  const held = await lock(layout.lock("index"));
  try {
    const before = readIndex(layout);
    const index: Index = { schemaVersion: 2, mediaType: OCI_INDEX, manifests: change(before) };
    const write = () => writeFileAtomic(layout.index, JSON.stringify(index), 0o600);
    try {
      write();
    } catch (error) {
      // whoever takes something away makes room
      if (!isFull(error) || index.manifests.length > before.length || !spendReserve(layout)) throw error;
      write();
      return;
    }
    keepReserve(layout);
  } finally {
    unlock(held);
  }
}

/**
 * Gives a manifest a name, which another one may have had: that one stays as an image without name; but not where it `isSame`, the same image whose
 * layers are compressed in another way.
 */
export function withName(
  entries: Descriptor[],
  name: string,
  entry: Descriptor,
  isSame: (other: Descriptor) => boolean = () => false,
): Descriptor[] {
  const named = { ...entry, annotations: { ...entry.annotations, [REF_NAME]: name } };
  const rest = entries.flatMap((other) => {
    if (refName(other) !== name) return other.digest === entry.digest && refName(other) === undefined ? [] : [other];
    const kept = other.digest === entry.digest || entries.some((e) => e !== other && e.digest === other.digest);
    return kept || isSame(other) ? [] : [withoutName(other)];
  });
  return [...rest, named];
}

export function withoutName(entry: Descriptor): Descriptor {
  const { [REF_NAME]: _, ...annotations } = entry.annotations ?? {};
  return { ...entry, annotations };
}
