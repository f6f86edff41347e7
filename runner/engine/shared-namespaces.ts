/** Namespaces that a container has from the host or from another container. Loaded only where some are asked for. */

import { join } from "node:path";
import { TsboxError } from "../base/error.ts";
import type { ContainerRecord } from "../container/record.ts";
import type { Identity } from "../plan/idmap.ts";
import type { NamespaceSource, SharedNamespaces } from "../plan/shared.ts";
import type { Engine } from "./engine.ts";
import type { RunOptions } from "./run-options.ts";

type Kind = keyof SharedNamespaces;

export interface ResolvedSharing {
  shared: SharedNamespaces;
  /** What the record keeps: containers by their ids, so that a new name changes nothing. */
  words: { network: string; sharing: NonNullable<ContainerRecord["sharing"]> };
  /** Whose hosts, hostname and resolv.conf the container has, with its network. */
  names?: { dir: string; hostname: string };
}

/** A container whose own namespace it is: the end of the chain, if containers share what they share. */
interface Source {
  word: string;
  owner: ContainerRecord | "host";
}

const TITLES: Record<Kind, string> = {
  net: "network",
  pid: "pid namespace",
  ipc: "ipc namespace",
  uts: "uts namespace",
  cgroup: "cgroup namespace",
};

export function resolveSharing(engine: Engine, options: RunOptions, identity: Identity): ResolvedSharing {
  const wishes: [Kind, string | undefined][] = [
    ["net", options.network],
    ...(["pid", "ipc", "uts", "cgroup"] as const).map((kind): [Kind, string | undefined] => [
      kind,
      options.sharing?.[kind],
    ]),
  ];
  const shared: SharedNamespaces = {};
  const sharing: ResolvedSharing["words"]["sharing"] = {};
  let network: string = options.network;
  let names: ResolvedSharing["names"];
  const owners = new Map<string, ContainerRecord>();
  for (const [kind, wish] of wishes) {
    if (wish === undefined || wish === "none") continue;
    if (wish === "private" && kind !== "net") {
      sharing[kind] = wish;
      continue;
    }
    const { word, owner } = sourceOf(engine, kind, wish);
    if (kind === "net") network = word;
    else sharing[kind] = word;
    shared[kind] = owner === "host" ? "host" : lockOf(engine, owner);
    if (owner === "host") continue;
    owners.set(userOwner(engine, owner).id, owner);
    checkIdentity(owner, identity);
    if (kind === "net") names = { dir: engine.containers.dir(owner.id), hostname: owner.hostname };
  }
  if (owners.size > 1) {
    const [one, other] = [...owners.values()].map(({ name }) => `"${name}"`);
    throw new TsboxError(
      `Cannot share namespaces with containers ${one} and ${other}: each has a user namespace of its own`,
      {
        code: "SHARE_TWO",
        hint: `without root a process is in one of them: let one of the two share the other's namespaces, and name that one`,
      },
    );
  }
  return { shared, words: { network, sharing }, ...(names && { names }) };
}

function lockOf(engine: Engine, record: ContainerRecord): NamespaceSource {
  return { lock: join(engine.containers.dir(record.id), "lock") };
}

function wordOf(record: ContainerRecord, kind: Kind): string | undefined {
  return kind === "net" ? record.network : record.sharing?.[kind];
}

function sourceOf(engine: Engine, kind: Kind, wish: string): Source {
  if (!wish.startsWith("container:")) return { word: wish, owner: "host" };
  const donor = findDonor(engine, wish.slice("container:".length));
  const word = `container:${donor.id}`;
  const further = wordOf(donor, kind);
  if (kind === "ipc" && further === "private") {
    throw new TsboxError(`Cannot share the ipc namespace of container "${donor.name}": it is private`, {
      code: "SHARE_PRIVATE",
      hint: "make that one with --ipc shareable",
    });
  }
  if (further === "host") return { word, owner: "host" };
  if (further?.startsWith("container:")) return { word, owner: sourceOf(engine, kind, further).owner };
  return { word, owner: donor };
}

/** One that is missing is a fault of the run, whose status is tsbox's own then. */
function findDonor(engine: Engine, word: string): ContainerRecord {
  try {
    return engine.containers.find(word);
  } catch (error) {
    if (!(error instanceof TsboxError)) throw error;
    const { message, code, hint } = error;
    throw new TsboxError(message, { code, ...(hint !== undefined && { hint }), cause: error });
  }
}

/** Who shares anything with a container is in its user namespace. */
function userOwner(engine: Engine, record: ContainerRecord): ContainerRecord {
  for (const kind of Object.keys(TITLES) as Kind[]) {
    const word = wordOf(record, kind);
    if (!word?.startsWith("container:")) continue;
    const { owner } = sourceOf(engine, kind, word);
    if (owner !== "host") return userOwner(engine, owner);
  }
  return record;
}

function checkIdentity(owner: ContainerRecord, identity: Identity): void {
  const same = (a: object, b: object) => JSON.stringify(a) === JSON.stringify(b);
  if (same(owner.uidMap, identity.uidMap) && same(owner.gidMap, identity.gidMap)) return;
  throw new TsboxError(`Cannot share namespaces with container "${owner.name}": it has other user ids`, {
    code: "SHARE_IDS",
    hint: "give both the same --userns",
  });
}
