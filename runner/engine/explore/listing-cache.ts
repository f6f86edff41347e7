/** Listings of layers, kept in the store's cache by diffID: a layer is read once, whatever image it is in. */
import { mkdirSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../../base/atomic-write.ts";
import { digestHex } from "../../oci/digest.ts";
import type { Digest } from "../../oci/types.ts";
import type { StoreLayout } from "../../store/layout.ts";
import type { ListedEntry } from "./listing.ts";
import type { BytePath } from "./names.ts";

/** Changes with what is listed: older files are read no more. */
const VERSION = 1;

type Row = [BytePath, ListedEntry["kind"], number, number, number, number, number, string, string, string];

const folder = (layout: StoreLayout) => join(layout.root, "cache", "listings");
const file = (layout: StoreLayout, diffID: Digest) => join(folder(layout), `${digestHex(diffID)}.json`);

export function readListing(layout: StoreLayout, diffID: Digest): ListedEntry[] | undefined {
  try {
    const { version, rows } = JSON.parse(readFileSync(file(layout, diffID), "utf8")) as {
      version: number;
      rows: Row[];
    };
    if (version !== VERSION) return undefined;
    return rows.map(([path, kind, mode, uid, gid, mtime, size, digest, link, xattrs]) => ({
      path,
      kind,
      mode,
      uid,
      gid,
      mtime,
      size,
      digest,
      link,
      xattrs,
    }));
  } catch {
    return undefined; // not there, or not whole: it is made anew
  }
}

export function writeListing(layout: StoreLayout, diffID: Digest, entries: ListedEntry[]): void {
  const rows = entries.map(
    (e): Row => [e.path, e.kind, e.mode, e.uid, e.gid, e.mtime, e.size, e.digest, e.link, e.xattrs],
  );
  try {
    mkdirSync(folder(layout), { recursive: true, mode: 0o700 });
    writeFileAtomic(file(layout, diffID), JSON.stringify({ version: VERSION, rows }));
  } catch {
    // a store that cannot be written, or a full disk: the next time is slow again, and that is all
  }
}

/** Forgets listings of layers that no image has any more. */
export function sweepListings(layout: StoreLayout, used: () => Iterable<Digest>): void {
  let names: string[];
  try {
    names = readdirSync(folder(layout));
  } catch {
    return;
  }
  const kept = new Set([...used()].map((diffID) => `${digestHex(diffID)}.json`));
  for (const name of names) if (!kept.has(name)) rmSync(join(folder(layout), name), { force: true });
}
