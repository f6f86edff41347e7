import { TsboxError } from "../base/error.ts";
import { formatReference, type Reference } from "../oci/reference.ts";
import { matchedPrefix, type RegistriesConf, ruleFor } from "./registries-conf.ts";

/** Where an image is really asked for. */
export interface Endpoint {
  /** `HOST[:PORT]`, as credentials and certificates know it. */
  domain: string;
  /** The repository there. */
  path: string;
  /** Certificates need not be right, and plain HTTP will do. */
  insecure: boolean;
  mirror: boolean;
}

/** The places of a repository, in the order in which they are tried; the last one is its own registry. */
export function endpointsOf(conf: RegistriesConf, reference: Reference, use: "pull" | "push"): Endpoint[] {
  const name = `${reference.domain}/${reference.path}`;
  const rule = ruleFor(conf, name);
  if (!rule) return [{ domain: reference.domain, path: reference.path, insecure: false, mirror: false }];
  if (rule.blocked) {
    throw new TsboxError(`Cannot ${use} "${formatReference(reference)}": registry "${rule.prefix}" is blocked`, {
      code: "REGISTRY_BLOCKED",
      hint: `by ${conf.files.join(", ")}`,
      exitCode: 1,
    });
  }
  const rest = name.slice((matchedPrefix(rule.prefix, name) ?? "").length);
  const own = rule.location === "" ? name : rule.location + rest;
  // changes go to the registry itself
  const mirrors = use === "push" ? [] : rule.mirrors;
  return [
    ...mirrors
      .filter(({ pullFrom }) => pullFrom === "all" || (pullFrom === "digest-only") === (reference.digest !== undefined))
      .map(({ location, insecure }) => endpoint(location + rest, insecure, true)),
    endpoint(own, rule.insecure, false),
  ];
}

function endpoint(name: string, insecure: boolean, mirror: boolean): Endpoint {
  const slash = name.indexOf("/");
  const [domain, path] = slash < 0 ? [name, ""] : [name.slice(0, slash), name.slice(slash + 1)];
  return { domain, path, insecure, mirror };
}

/** A rule for a host alone decides how it is talked to by who asks no repository (`login`, `search`). */
export function hostEndpoint(conf: RegistriesConf, domain: string): Endpoint {
  const rule = ruleFor(conf, domain);
  return { domain, path: "", insecure: rule?.insecure ?? false, mirror: false };
}
