import { TsboxError, visible } from "../base/error.ts";
import { isDigest } from "./digest.ts";
import type { Digest } from "./types.ts";

/** An image reference in full: `docker.io/library/busybox:1.37`. */
export interface Reference {
  domain: string;
  path: string;
  /** `latest` when the text had neither tag nor digest. */
  tag?: string;
  digest?: Digest;
}

const DOMAIN =
  /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\[[0-9a-fA-F:]+\])(?::[0-9]+)?$/;
const COMPONENT = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*$/;
const TAG = /^[\w][\w.-]{0,127}$/;

/** Docker's rules: a first component with a dot, a port or the name localhost is a registry; otherwise Docker Hub is meant, and `library/` is added. */
export function parseReference(text: string): Reference {
  const refuse = (why: string, hint?: string) =>
    new TsboxError(`Cannot use image reference "${visible(text)}": ${why}`, {
      code: "INVALID_REFERENCE",
      ...(hint !== undefined && { hint }),
    });
  if (text === "") throw refuse("it is empty");
  if (/^[0-9a-f]{64}$/.test(text)) throw refuse("64 hexadecimal digits are an image id, not a name");
  let rest = text;
  let digest: Digest | undefined;
  const at = rest.indexOf("@");
  if (at >= 0) {
    const found = rest.slice(at + 1);
    if (!isDigest(found)) throw refuse("its digest is not sha256: and 64 hexadecimal digits");
    digest = found;
    rest = rest.slice(0, at);
  }
  let tag: string | undefined;
  const colon = rest.lastIndexOf(":");
  if (colon > rest.lastIndexOf("/")) {
    tag = rest.slice(colon + 1);
    rest = rest.slice(0, colon);
    if (!TAG.test(tag)) throw refuse(`"${visible(tag)}" is not a tag`, "letters, digits, _ . and -, at most 128");
  }
  const registry = registryIn(rest);
  let domain = registry ?? "docker.io";
  let path = registry === undefined ? rest : rest.slice(registry.length + 1);
  if (!DOMAIN.test(domain)) throw refuse(`"${visible(domain)}" is not a registry's name`);
  if (Number(/:(\d+)$/.exec(domain)?.[1] ?? 1) > 65_535) throw refuse(`"${domain}" has no port that there is`);
  if (domain === "index.docker.io") domain = "docker.io";
  if (domain === "docker.io" && !path.includes("/")) path = `library/${path}`;
  const bad = path.split("/").find((component) => !COMPONENT.test(component));
  if (bad !== undefined) {
    throw /[A-Z]/.test(bad)
      ? refuse("it has capital letters", `try "${text.toLowerCase()}"`)
      : refuse(bad === "" ? "it has an empty component" : `"${visible(bad)}" is not allowed in a name`);
  }
  if (path.length > 255) throw refuse("the name is longer than 255 characters");
  if (tag === undefined && digest === undefined) tag = "latest";
  return { domain, path, ...(tag !== undefined && { tag }), ...(digest && { digest }) };
}

/** The registry that a name begins with; undefined: it is a short one. */
export function registryIn(name: string): string | undefined {
  const slash = name.indexOf("/");
  const first = slash < 0 ? "" : name.slice(0, slash);
  const isDomain = first !== "" && (/[.:[]/.test(first) || first === "localhost" || first !== first.toLowerCase());
  return isDomain ? first : undefined;
}

/** The reference in full, as the store keys it. */
export function formatReference(reference: Reference): string {
  return familiarTail(`${reference.domain}/${reference.path}`, reference);
}

/** The repository as people write it: without docker.io/library/. */
export function familiarRepository(reference: Reference): string {
  if (reference.domain !== "docker.io") return `${reference.domain}/${reference.path}`;
  return reference.path.replace(/^library\/(?=[^/]+$)/, "");
}

/** The whole reference as people write it. */
export function familiarName(reference: Reference): string {
  return familiarTail(familiarRepository(reference), reference);
}

function familiarTail(repository: string, { tag, digest }: Reference): string {
  return `${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}
