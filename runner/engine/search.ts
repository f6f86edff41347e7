import { parseReference, registryIn } from "../oci/reference.ts";
import type { ConnectionOptions } from "../registry/options.ts";
import { type Found, listTags, searchedRegistries, searchRegistry } from "../registry/search.ts";
import { meanings } from "../registry/short-names.ts";
import { registryOptions } from "./registry-options.ts";

export type { Found } from "../registry/search.ts";

export interface SearchOptions {
  /** Of each registry. */
  limit: number;
  connection?: ConnectionOptions;
  signal?: AbortSignal;
}

/** Images whose name has the term, which may begin with a registry: `quay.io/podman`, `localhost:5000/`. */
export async function search(term: string, options: SearchOptions): Promise<Found[]> {
  const own = registryIn(term);
  const registries = own === undefined ? await searchedRegistries(process.env) : [own];
  const word = own === undefined ? term : term.slice(own.length + 1);
  const connection = registryOptions(options.connection, options.signal);
  const found = await Promise.all(registries.map((domain) => searchRegistry(domain, word, options.limit, connection)));
  return found.flat();
}

/** The tags of one repository. */
export async function tags(name: string, options: SearchOptions): Promise<{ name: string; tags: string[] }> {
  const [reference = parseReference(name)] = await meanings(name, process.env);
  const found = await listTags(reference, options.limit, registryOptions(options.connection, options.signal));
  return { name: `${reference.domain}/${reference.path}`, tags: found };
}
