import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** What is wrong with a store: blobs that are not what their name says, names without content, things left behind. */
export function storeProblems(root: string): string[] {
  const oci = join(root, "oci");
  const blobs = join(oci, "blobs/sha256");
  if (!existsSync(blobs)) return [];
  const problems = readdirSync(blobs)
    .filter(
      (name) =>
        createHash("sha256")
          .update(readFileSync(join(blobs, name)))
          .digest("hex") !== name,
    )
    .map((name) => `blob ${name} has another digest`);
  const file = join(oci, "index.json");
  const entries: { digest: string }[] = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).manifests : [];
  for (const { digest } of entries) {
    if (!existsSync(join(blobs, digest.slice(7)))) {
      problems.push(`manifest ${digest} is not there`);
      continue;
    }
    const { config, layers } = JSON.parse(readFileSync(join(blobs, digest.slice(7)), "utf8"));
    for (const blob of [config, ...layers]) {
      if (!existsSync(join(blobs, blob.digest.slice(7)))) problems.push(`blob ${blob.digest} is not there`);
    }
  }
  return problems;
}

/** Blobs that no image of the store needs. */
export function orphans(root: string): string[] {
  const blobs = join(root, "oci/blobs/sha256");
  if (!existsSync(blobs)) return [];
  const file = join(root, "oci/index.json");
  const read = (digest: string) => JSON.parse(readFileSync(join(blobs, digest.slice(7)), "utf8"));
  const entries: { digest: string }[] = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")).manifests : [];
  const needed = new Set(
    entries.flatMap(({ digest }) => {
      const { config, layers } = read(digest);
      return [digest, config.digest, ...layers.map((layer: { digest: string }) => layer.digest)];
    }),
  );
  return readdirSync(blobs).filter((name) => !needed.has(`sha256:${name}`));
}

/** What is left of work that has ended; downloads to be taken up again are none. */
export function leftovers(root: string): string[] {
  const tmp = join(root, "tmp");
  return existsSync(tmp) ? readdirSync(tmp).filter((name) => !name.endsWith(".partial")) : [];
}
