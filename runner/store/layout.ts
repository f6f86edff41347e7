import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import { makeFolder } from "../base/make-folder.ts";
import { digestHex } from "../oci/digest.ts";
import type { Digest } from "../oci/types.ts";

/**
 * Where everything lies in the store. `oci` is a plain OCI image layout, which other tools read in place; `layers` has the
 * unpacked trees; `tmp` what is being made (each beside a lock file that its maker holds); `locks` what processes wait on.
 */
export interface StoreLayout {
  root: string;
  oci: string;
  index: string;
  layers: string;
  tmp: string;
  locks: string;
  /** Starts that the launcher can repeat. */
  kept: string;
  blob(digest: Digest): string;
  lock(name: string): string;
}

export function storeLayout(root: string): StoreLayout {
  const oci = join(root, "oci");
  return {
    root,
    oci,
    index: join(oci, "index.json"),
    layers: join(root, "layers"),
    tmp: join(root, "tmp"),
    locks: join(root, "locks"),
    kept: join(root, "kept"),
    blob: (digest) => join(oci, "blobs", "sha256", digestHex(digest)),
    lock: (name) => join(root, "locks", name),
  };
}

/** Makes the store's folders; done before anything is written, never on the way to a `run`. */
export function makeStore(layout: StoreLayout): void {
  const folders = [join(layout.oci, "blobs", "sha256"), layout.layers, layout.tmp, layout.locks];
  try {
    for (const folder of folders) makeFolder(folder, 0o700);
  } catch (cause) {
    throw new TsboxError(`Cannot make a store in "${layout.root}"`, {
      code: "NOT_WRITABLE",
      hint: '"tsbox --root DIR" names another place',
      cause,
    });
  }
  try {
    writeFileSync(join(layout.oci, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}', { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  }
}
