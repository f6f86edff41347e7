import type { Reference } from "../oci/reference.ts";
import { endpointsOf, hostEndpoint } from "./endpoints.ts";
import type { RegistryOptions } from "./options.ts";
import { loadRegistriesConf } from "./registries-conf.ts";
import { Session } from "./session.ts";

/** The ways to a repository, mirrors first. */
export async function openSessions(
  reference: Reference,
  use: "pull" | "push",
  options: RegistryOptions,
): Promise<Session[]> {
  const conf = await loadRegistriesConf(options.env ?? process.env);
  return endpointsOf(conf, reference, use).map((endpoint) => new Session(endpoint, options));
}

/** A registry itself. */
export async function openHost(domain: string, options: RegistryOptions): Promise<Session> {
  const conf = await loadRegistriesConf(options.env ?? process.env);
  return new Session(hostEndpoint(conf, domain), options);
}
