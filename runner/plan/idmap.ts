import type { IdRange } from "./types.ts";

/** What /etc/subuid or /etc/subgid grants: a start and a length. */
export interface SubidRange {
  start: number;
  count: number;
}

export interface IdentityFacts {
  uid: number;
  gid: number;
  subuid: SubidRange[];
  subgid: SubidRange[];
  /** Paths of newuidmap and newgidmap, when both are installed. */
  mapTools?: { uid: string; gid: string };
  /** Of root: the ids that there are, as /proc/self/uid_map and gid_map tell. */
  ownMaps?: { uid: string; gid: string };
}

export interface Identity {
  /** `range`: root and the ids above it; `single`: only one id exists inside. */
  kind: "range" | "single";
  /** Names the map: trees unpacked under one key have the owners on disk that this map needs. */
  key: string;
  uidMap: IdRange[];
  gidMap: IdRange[];
  mapTools?: { uid: string; gid: string };
}

/**
 * The id maps of a user namespace: container root is the caller and the ids above come from the caller's subordinate range. Without a range or
 * without newuidmap only one id exists. `keepId` puts the caller at another inside id (default: its own); root and the other
 * ids then come from the range, so that files in bind mounts stay the caller's. Root itself needs no subordinate range.
 */
export function makeIdentity(facts: IdentityFacts, keepId?: { uid?: number; gid?: number }): Identity {
  const ranges = facts.mapTools !== undefined && facts.subuid.length > 0 && facts.subgid.length > 0;
  const caller = { uid: keepId ? (keepId.uid ?? facts.uid) : 0, gid: keepId ? (keepId.gid ?? facts.gid) : 0 };
  if (facts.uid === 0 && !ranges) {
    return { kind: "range", key: "root", uidMap: sameIDs(facts.ownMaps?.uid), gidMap: sameIDs(facts.ownMaps?.gid) };
  }
  if (!ranges) {
    return {
      kind: "single",
      key: "single",
      uidMap: [{ inside: caller.uid, outside: facts.uid, count: 1 }],
      gidMap: [{ inside: caller.gid, outside: facts.gid, count: 1 }],
    };
  }
  return {
    kind: "range",
    key: keepId ? `keep-${caller.uid}-${caller.gid}` : "range",
    uidMap: around(caller.uid, facts.uid, facts.subuid),
    gidMap: around(caller.gid, facts.gid, facts.subgid),
    ...(facts.mapTools && { mapTools: facts.mapTools }),
  };
}

const ROOT_IDS = 65536;

/** Each id as it is. A range of a map must lie in one range of the map above, so their borders are kept. */
function sameIDs(ownMap = "", most = ROOT_IDS): IdRange[] {
  const ranges = ownMap
    .trim()
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([inside = most]) => inside < most)
    .map(([inside = 0, , count = 0]) => ({ inside, outside: inside, count: Math.min(count, most - inside) }));
  return ranges.length > 0 ? ranges : [{ inside: 0, outside: 0, count: ROOT_IDS }];
}

/** Root of the machine, not of a container. */
export function isInitialMap(ownMap: string): boolean {
  return /^\s*0\s+0\s+4294967295\s*$/.test(ownMap);
}

/** The map as text: what unpacked layers were unpacked for. */
export function idMapText({ uidMap, gidMap }: Pick<Identity, "uidMap" | "gidMap">): string {
  return [uidMap, gidMap]
    .map((map) => map.map(({ inside, outside, count }) => `${inside}:${outside}:${count}`).join(","))
    .join(" ");
}

/** The caller at `inside`; the subordinate ids fill the places below and above it, in order. */
function around(inside: number, outside: number, ranges: SubidRange[]): IdRange[] {
  const map: IdRange[] = [];
  let next = 0;
  for (let { start, count } of ranges) {
    if (next < inside) {
      const below = Math.min(count, inside - next);
      map.push({ inside: next, outside: start, count: below });
      next += below;
      start += below;
      count -= below;
    }
    if (count === 0) continue;
    if (next === inside) next++;
    map.push({ inside: next, outside: start, count });
    next += count;
  }
  return [{ inside, outside, count: 1 }, ...map].sort((a, b) => a.inside - b.inside);
}

/** The lines of /etc/subuid or /etc/subgid that belong to a user, by name or number. */
export function parseSubids(text: string, user: string, uid: number): SubidRange[] {
  const ranges: SubidRange[] = [];
  for (const line of text.split("\n")) {
    const [owner, start, count] = line.trim().split(":");
    if (owner !== user && owner !== String(uid)) continue;
    if (!/^\d+$/.test(start ?? "") || !/^[1-9]\d*$/.test(count ?? "")) continue;
    ranges.push({ start: Number(start), count: Number(count) });
  }
  return ranges;
}

/** What of the ranges exists in this user namespace, whose own map is given: inside a container or sandbox a part, or nothing. */
export function mappedSubids(ranges: SubidRange[], ownMap: string): SubidRange[] {
  if (ownMap.trim() === "" || isInitialMap(ownMap)) return ranges;
  return ranges.flatMap(({ start, count }) =>
    sameIDs(ownMap, Number.POSITIVE_INFINITY).flatMap((own) => {
      const first = Math.max(start, own.inside);
      const end = Math.min(start + count, own.inside + own.count);
      return first < end ? [{ start: first, count: end - first }] : [];
    }),
  );
}

/** Whether container root is the caller; with keep-id it is the first of the subordinate range. */
export function rootIsCaller(map: IdRange[]): boolean {
  return map.some((range) => range.inside === 0 && range.count === 1);
}

/** The id inside that an id outside has; undefined where it has none. */
export function insideID(map: IdRange[], outside: number): number | undefined {
  const range = map.find((one) => outside >= one.outside && outside < one.outside + one.count);
  return range && range.inside + outside - range.outside;
}

/** Whether an inside id exists in the map. */
export function isMapped(map: IdRange[], id: number): boolean {
  return map.some((range) => id >= range.inside && id < range.inside + range.count);
}
