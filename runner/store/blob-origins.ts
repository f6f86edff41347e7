import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { writeFileAtomic } from "../base/atomic-write.ts";
import type { Descriptor, Digest } from "../oci/types.ts";
import { hasBlob } from "./blobs.ts";
import type { StoreLayout } from "./layout.ts";

/* Which repositories are known to have a blob: a push to the same registry asks it to take the blob from there. A hint, which may be lost. */

const MAX_REPOSITORIES = 4;

interface Repository {
  domain: string;
  path: string;
}

function file(layout: StoreLayout): string {
  return join(layout.root, "cache", "blob-origins.json");
}

function read(layout: StoreLayout): Record<Digest, string[]> {
  try {
    return JSON.parse(readFileSync(file(layout), "utf8")) as Record<Digest, string[]>;
  } catch {
    return {};
  }
}

/** Repositories of a registry that have had the blob, the latest first. */
export function repositoriesWith(layout: StoreLayout, digest: Digest, domain: string): string[] {
  return (read(layout)[digest] ?? [])
    .filter((name) => name.startsWith(`${domain}/`))
    .map((name) => name.slice(domain.length + 1));
}

/** Notes that a repository has these blobs; those that the store has no more are forgotten. */
export function rememberRepository(layout: StoreLayout, { domain, path }: Repository, blobs: Descriptor[]): void {
  const name = `${domain}/${path}`;
  const known = read(layout);
  if (blobs.every(({ digest }) => known[digest]?.includes(name))) return;
  for (const { digest } of blobs) {
    known[digest] = [name, ...(known[digest] ?? []).filter((other) => other !== name)].slice(0, MAX_REPOSITORIES);
  }
  const kept = Object.entries(known).filter(([digest]) => hasBlob(layout, digest as Digest));
  try {
    mkdirSync(join(layout.root, "cache"), { recursive: true, mode: 0o700 });
    writeFileAtomic(file(layout), JSON.stringify(Object.fromEntries(kept)));
  } catch {
    // then the next push sends what it need not
  }
}
