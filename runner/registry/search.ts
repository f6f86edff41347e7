import { visible } from "../base/error.ts";
import type { Reference } from "../oci/reference.ts";
import { openHost, openSessions } from "./open-session.ts";
import type { RegistryOptions } from "./options.ts";
import { loadRegistriesConf } from "./registries-conf.ts";
import { RegistryError } from "./registry-error.ts";
import type { Session } from "./session.ts";
import { readBody } from "./transport.ts";

const MAX_PAGE = 8 << 20;
const MAX_PAGES = 1000;
const PAGE_SIZE = 1000;

export interface Found {
  /** The registry. */
  index: string;
  name: string;
  description: string;
  stars: number;
  official: boolean;
  automated: boolean;
}

/** Registries that are searched where the term names none. */
export async function searchedRegistries(env: NodeJS.ProcessEnv): Promise<string[]> {
  const { search = [] } = await loadRegistriesConf(env);
  return search.length > 0 ? search : ["docker.io"];
}

/** Images by a word: by the registry's own search, or from the list of all that it has. */
export async function searchRegistry(
  domain: string,
  term: string,
  limit: number,
  options: RegistryOptions,
): Promise<Found[]> {
  const session = await openHost(domain === "docker.io" ? "index.docker.io" : domain, options);
  try {
    const found = await bySearch(session, domain, term, limit);
    return found ?? (await byCatalog(session, domain, term, limit));
  } finally {
    session.close();
  }
}

/** The search of the registries' first version, which Docker Hub and some others still have; undefined: this one has none. */
async function bySearch(session: Session, domain: string, term: string, limit: number): Promise<Found[] | undefined> {
  const action = `search ${domain} for "${visible(term)}"`;
  const query = new URLSearchParams({ q: term, n: String(limit) });
  const answer = await session.request({
    method: "GET",
    target: `/v1/search?${query}`,
    // those that have none say so in many ways
    expect: domain === "docker.io" ? [200] : [200, 400, 401, 403, 404, 405],
    action,
  });
  const bytes = await readBody(answer.body, MAX_PAGE, action);
  if (answer.status !== 200) return undefined;
  let results: unknown;
  try {
    results = (JSON.parse(bytes.toString("utf8")) as { results?: unknown }).results;
  } catch {
    // told below
  }
  if (!Array.isArray(results)) {
    if (domain !== "docker.io") return undefined;
    throw new RegistryError(`Cannot ${action}: its answer is no list of results`, 0);
  }
  return (results as Record<string, unknown>[]).slice(0, limit).map((result) => ({
    index: domain,
    name: fullName(domain, String(result.name ?? "")),
    description: String(result.description ?? ""),
    stars: Number(result.star_count ?? 0),
    official: result.is_official === true,
    automated: result.is_automated === true,
  }));
}

function fullName(domain: string, name: string): string {
  return domain === "docker.io" && !name.includes("/") ? `${domain}/library/${name}` : `${domain}/${name}`;
}

async function byCatalog(session: Session, domain: string, term: string, limit: number): Promise<Found[]> {
  const found: Found[] = [];
  const request = {
    action: `search ${domain} for "${visible(term)}"`,
    target: `_catalog?n=${PAGE_SIZE}`,
    scopes: ["registry:catalog:*"],
    list: "repositories",
  };
  for await (const name of pages(session, request)) {
    if (!name.includes(term)) continue;
    found.push({
      index: domain,
      name: `${domain}/${name}`,
      description: "",
      stars: 0,
      official: false,
      automated: false,
    });
    if (found.length >= limit) break;
  }
  return found;
}

/** The tags of a repository, as the registry orders them. */
export async function listTags(reference: Reference, limit: number, options: RegistryOptions): Promise<string[]> {
  const sessions = await openSessions(reference, "pull", options);
  const session = sessions.at(-1) as Session;
  const { path } = session.endpoint;
  const tags: string[] = [];
  try {
    const request = {
      action: `list the tags of "${reference.domain}/${reference.path}"`,
      target: `${path}/tags/list`,
      scopes: [`repository:${path}:pull`],
      list: "tags",
    };
    for await (const tag of pages(session, request)) {
      tags.push(tag);
      if (tags.length >= limit) break;
    }
    return tags;
  } finally {
    for (const one of sessions) one.close();
  }
}

interface Listing {
  action: string;
  target: string;
  scopes: string[];
  /** Key of the list in the answer. */
  list: string;
}

/** The members of a list that comes in pages, each with a link to the next (RFC 8288). */
async function* pages(session: Session, { action, target, scopes, list }: Listing): AsyncGenerator<string> {
  let next: string | URL | undefined = target;
  for (let page = 0; next !== undefined; page++) {
    if (page >= MAX_PAGES) throw new RegistryError(`Cannot ${action}: more than ${MAX_PAGES} pages`, 0);
    const answer = await session.request({ method: "GET", target: next, scopes, expect: [200], action });
    const bytes = await readBody(answer.body, MAX_PAGE, action);
    let names: unknown;
    try {
      names = (JSON.parse(bytes.toString("utf8")) as Record<string, unknown>)[list];
    } catch {
      // told below
    }
    // a repository without any says null
    if (names !== null && (!Array.isArray(names) || names.some((name) => typeof name !== "string"))) {
      throw new RegistryError(`Cannot ${action}: the answer has no list of ${list}`, 0);
    }
    yield* (names ?? []) as string[];
    const link = /<([^>]*)>\s*;\s*rel="?next"?/.exec(String(answer.headers.link ?? ""))?.[1];
    if (link === undefined) return;
    if (!URL.canParse(link, answer.url.href) || new URL(link, answer.url).origin !== answer.url.origin) {
      throw new RegistryError(`Cannot ${action}: the next page is said to be at "${visible(link)}"`, 0);
    }
    next = new URL(link, answer.url);
  }
}
