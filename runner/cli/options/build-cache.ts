/** Values of `build --cache-from` and `--cache-to`. */

import { resolve } from "node:path";
import type { CacheMode, CacheSource, CacheTarget } from "../../build/cache/places.ts";
import { parseReference, type Reference } from "../../oci/reference.ts";
import { UsageError } from "../usage-error.ts";
import { splitCsv } from "./csv.ts";

/** The tag of a cache whose name has none, as in buildah: `latest` would be an image's. */
const CACHE_TAG = "buildcache";

const TYPES = ["local", "registry", "inline"];
/** Caches of docker's that live in somebody's service. */
const SERVICES = ["gha", "s3", "azblob"];

/** `type=local,src=DIR`, `type=registry,ref=NAME`; NAME alone is one in a registry. */
export function parseCacheSource(text: string, cwd: string): CacheSource {
  if (!text.includes("=")) return { type: "registry", references: searched(text) };
  const given = new Map(pairs(text));
  const type = typeOf(given, ["local", "registry"]);
  if (type === "local") {
    only(given, ["src"]);
    return { type, folder: resolve(cwd, need(given, "src", "type=local,src=DIR")) };
  }
  only(given, ["ref"]);
  return { type: "registry", references: searched(need(given, "ref", "type=registry,ref=HOST/NAME:TAG")) };
}

/** `type=local,dest=DIR`, `type=registry,ref=NAME`, `type=inline`; NAME alone is one in a registry. */
export function parseCacheTarget(text: string, cwd: string): CacheTarget {
  if (!text.includes("=")) {
    return { type: "registry", reference: written(text, CACHE_TAG), mode: "max", ignoreError: false };
  }
  const given = new Map(pairs(text));
  const type = typeOf(given, TYPES);
  if (type === "inline") {
    only(given, []);
    return { type };
  }
  const rest = { mode: modeOf(given), ignoreError: isTrue(given, "ignore-error") };
  if (type === "local") {
    only(given, ["dest", "mode", "ignore-error"]);
    return { type, folder: resolve(cwd, need(given, "dest", "type=local,dest=DIR")), ...rest };
  }
  only(given, ["ref", "mode", "ignore-error", "image-manifest", "oci-mediatypes"]);
  for (const name of ["image-manifest", "oci-mediatypes"]) {
    if (given.has(name) && !isTrue(given, name)) {
      throw new UsageError(`${name}=false is not supported`, { hint: "a cache is always an OCI manifest" });
    }
  }
  const name = need(given, "ref", "type=registry,ref=HOST/NAME:TAG");
  return { type: "registry", reference: written(name, "latest"), ...rest };
}

function pairs(text: string): [name: string, value: string][] {
  return splitCsv(text).map((field) => {
    const cut = field.indexOf("=");
    return cut < 0 ? [field, ""] : [field.slice(0, cut), field.slice(cut + 1)];
  });
}

function typeOf(given: Map<string, string>, known: string[]): string {
  const type = given.get("type") ?? (given.has("ref") ? "registry" : "");
  if (known.includes(type)) return type;
  const hint = `types are ${known.join(", ")}`;
  if (SERVICES.includes(type)) throw new UsageError(`caches of type "${type}" are not supported`, { hint });
  throw new UsageError(type === "" ? "it names no type" : `there is no type "${type}" here`, { hint });
}

function only(given: Map<string, string>, known: string[]): void {
  for (const name of given.keys()) {
    if (name === "type" || known.includes(name)) continue;
    throw new UsageError(`unknown field "${name}"`, { hint: `fields are ${["type", ...known].join(", ")}` });
  }
}

function need(given: Map<string, string>, name: string, example: string): string {
  const value = given.get(name);
  if (value) return value;
  throw new UsageError(`it has no ${name}`, { hint: `write ${example}` });
}

/** Docker's default is `min`. */
function modeOf(given: Map<string, string>): CacheMode {
  const mode = given.get("mode") ?? "min";
  if (mode === "min" || mode === "max") return mode;
  throw new UsageError(`there is no mode "${mode}"`, {
    hint: "min keeps the image's steps, max those of all stages",
  });
}

function isTrue(given: Map<string, string>, name: string): boolean {
  const value = given.get(name);
  if (value === undefined || value === "false") return false;
  if (value === "true" || value === "") return true;
  throw new UsageError(`${name} is true or false, not "${value}"`);
}

/** A name without tag may be a cache's, or that of an image that tells its steps. */
function searched(name: string): Reference[] {
  const found = parseReference(name);
  if (found.digest !== undefined || /:[^/]*$/.test(name)) return [found];
  return [{ ...found, tag: CACHE_TAG }, found];
}

function written(name: string, tag: string): Reference {
  const found = parseReference(name);
  if (found.digest !== undefined) {
    throw new UsageError("a digest is not given but computed", { hint: "name a tag" });
  }
  return /:[^/]*$/.test(name) ? found : { ...found, tag };
}
