import { parseReference, type Reference, registryIn } from "../oci/reference.ts";
import { loadRegistriesConf, type RegistriesConf } from "./registries-conf.ts";

/** What a name may mean, in the order in which it is tried. A short one is Docker Hub's where no registries.conf says otherwise. */
export async function meanings(name: string, env: NodeJS.ProcessEnv): Promise<Reference[]> {
  const plain = parseReference(name);
  if (registryIn(name) !== undefined) return [plain];
  return meaningsIn(await loadRegistriesConf(env), name);
}

export function meaningsIn(conf: RegistriesConf, name: string): Reference[] {
  const [, repository = "", tail = ""] = /^([^:@]*)(.*)$/.exec(name) ?? [];
  const alias = conf.aliases.get(repository);
  if (alias) return [parseReference(alias + tail)];
  if (!conf.search || conf.search.length === 0) return [parseReference(name)];
  return conf.search.map((registry) => parseReference(`${registry}/${name}`));
}
