import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { TsboxError } from "../base/error.ts";

/** A place that has copies of a registry's images. */
export interface Mirror {
  /** `HOST[:PORT][/PATH]`, which takes the place of the prefix. */
  location: string;
  insecure: boolean;
  pullFrom: "all" | "digest-only" | "tag-only";
}

export interface RegistryRule {
  /** `HOST[:PORT][/PATH]` or `*.DOMAIN`: the images it is about. */
  prefix: string;
  /** What takes the prefix's place; empty: nothing does. */
  location: string;
  insecure: boolean;
  blocked: boolean;
  mirrors: Mirror[];
}

/** What all files say together (containers-registries.conf(5), version 2). */
export interface RegistriesConf {
  rules: RegistryRule[];
  /** Where short names are looked for; undefined: no file says. */
  search?: string[];
  /** Short names and what they mean; empty: an earlier file's word is taken back. */
  aliases: Map<string, string>;
  /** The files that were read. */
  files: string[];
}

/** The files that count: the one that the environment names; or the user's, else the system's, and what lies beside both. */
function confFiles(env: NodeJS.ProcessEnv): string[] {
  if (env.CONTAINERS_REGISTRIES_CONF) return [env.CONTAINERS_REGISTRIES_CONF];
  const user = join(env.XDG_CONFIG_HOME || join(env.HOME ?? "", ".config"), "containers");
  const main = [user, "/etc/containers"]
    .map((folder) => join(folder, "registries.conf"))
    .find((path) => existsSync(path));
  const beside = ["/etc/containers", user].flatMap((folder) => dropIns(join(folder, "registries.conf.d")));
  return [...(main === undefined ? [] : [main]), ...beside];
}

function dropIns(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => name.endsWith(".conf"))
      .sort()
      .map((name) => join(folder, name));
  } catch {
    return [];
  }
}

export async function loadRegistriesConf(env: NodeJS.ProcessEnv): Promise<RegistriesConf> {
  const conf: RegistriesConf = { rules: [], aliases: new Map(), files: [] };
  const texts = confFiles(env).flatMap((path): [string, string][] => {
    try {
      return [[path, readFileSync(path, "utf8")]];
    } catch (cause) {
      if (path !== env.CONTAINERS_REGISTRIES_CONF && (cause as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw refuse(path, (cause as NodeJS.ErrnoException).code ?? "it cannot be read");
    }
  });
  // most files of a system are comments alone, and many systems have none
  const telling = texts.filter(([, text]) => /^\s*[^#\s]/m.test(text));
  if (telling.length === 0) return conf;
  const { parse } = await import("smol-toml");
  for (const [path, text] of telling) {
    let table: Record<string, unknown>;
    try {
      table = parse(text);
    } catch (cause) {
      throw refuse(path, (cause as Error).message.split("\n")[0] ?? "it is not TOML");
    }
    mergeConf(conf, table, path);
  }
  return conf;
}

/** A later file's rule for a prefix, and its search list, replace an earlier one's. */
export function mergeConf(conf: RegistriesConf, table: Record<string, unknown>, path: string): void {
  conf.files.push(path);
  if (typeof table.registries === "object") {
    throw refuse(path, "it has version 1 of the format", "rewrite it as [[registry]] tables");
  }
  if (table["unqualified-search-registries"] !== undefined) {
    conf.search = strings(table["unqualified-search-registries"], "unqualified-search-registries", path);
  }
  for (const [name, value] of Object.entries((table.aliases ?? {}) as object)) {
    conf.aliases.set(name, text(value, `aliases.${name}`, path));
  }
  for (const entry of tables(table.registry, "registry", path)) {
    const rule = readRule(entry, path);
    conf.rules = [...conf.rules.filter(({ prefix }) => prefix !== rule.prefix), rule];
  }
}

function readRule(entry: Record<string, unknown>, path: string): RegistryRule {
  const location = text(entry.location ?? "", "location", path).replace(/\/+$/, "");
  const prefix = text(entry.prefix ?? "", "prefix", path).replace(/\/+$/, "") || location;
  if (prefix === "") throw refuse(path, "a [[registry]] has neither prefix nor location");
  if (location === "" && !prefix.startsWith("*.")) throw refuse(path, `the [[registry]] "${prefix}" has no location`);
  const byDigest = flag(entry["mirror-by-digest-only"], "mirror-by-digest-only", path);
  const mirrors = tables(entry.mirror, "registry.mirror", path).map((mirror): Mirror => {
    const from = text(mirror["pull-from-mirror"] ?? "all", "pull-from-mirror", path);
    if (from !== "all" && from !== "digest-only" && from !== "tag-only") {
      throw refuse(path, `pull-from-mirror = "${from}" is none of all, digest-only, tag-only`);
    }
    return {
      location: text(mirror.location ?? "", "mirror location", path).replace(/\/+$/, ""),
      insecure: flag(mirror.insecure, "insecure", path),
      pullFrom: byDigest ? "digest-only" : from,
    };
  });
  if (mirrors.some((mirror) => mirror.location === "")) throw refuse(path, `a mirror of "${prefix}" has no location`);
  return {
    prefix,
    location,
    insecure: flag(entry.insecure, "insecure", path),
    blocked: flag(entry.blocked, "blocked", path),
    mirrors,
  };
}

/** The rule with the longest prefix that an image's name `HOST/PATH` has. */
export function ruleFor(conf: RegistriesConf, name: string): RegistryRule | undefined {
  return conf.rules
    .filter(({ prefix }) => matchedPrefix(prefix, name) !== undefined)
    .sort((a, b) => b.prefix.length - a.prefix.length)[0];
}

/** The part of the name that a prefix stands for; a wildcard stands for a whole host. */
export function matchedPrefix(prefix: string, name: string): string | undefined {
  if (prefix.startsWith("*.")) {
    const host = name.split("/")[0] ?? "";
    return host.replace(/:\d+$/, "").endsWith(prefix.slice(1)) || host.endsWith(prefix.slice(1)) ? host : undefined;
  }
  return name === prefix || name.startsWith(`${prefix}/`) ? prefix : undefined;
}

function tables(value: unknown, what: string, path: string): Record<string, unknown>[] {
  if (value === undefined) return [];
  if (!Array.isArray(value) || value.some((one) => typeof one !== "object"))
    throw refuse(path, `${what} is no [[table]]`);
  return value as Record<string, unknown>[];
}

function strings(value: unknown, what: string, path: string): string[] {
  if (!Array.isArray(value) || value.some((one) => typeof one !== "string"))
    throw refuse(path, `${what} is no list of strings`);
  return value as string[];
}

function text(value: unknown, what: string, path: string): string {
  if (typeof value !== "string") throw refuse(path, `${what} is no string`);
  return value;
}

function flag(value: unknown, what: string, path: string): boolean {
  if (value !== undefined && typeof value !== "boolean") throw refuse(path, `${what} is neither true nor false`);
  return value === true;
}

function refuse(path: string, why: string, hint?: string): TsboxError {
  return new TsboxError(`Cannot read "${path}": ${why}`, {
    code: "REGISTRIES_CONF",
    hint: hint ?? "man 5 containers-registries.conf tells the format",
    exitCode: 1,
  });
}
