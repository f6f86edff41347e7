import { type Identity, insideID } from "../plan/idmap.ts";
import { readBelow } from "./container-user.ts";
import type { Engine } from "./engine.ts";

/** What is missing in /etc/passwd and /etc/group of an image for the caller to be somebody there; empty where nothing is. */
export interface Accounts {
  passwd: string;
  group: string;
}

/**
 * With keep-id the caller runs under an id that the image knows nothing of, and programs that ask who they are fail (ssh, git, whoami). As
 * in Podman a line is added. Root needs none.
 */
export function callerAccounts(engine: Engine, lowers: string[], identity: Identity): Accounts {
  const { host } = engine;
  const uid = insideID(identity.uidMap, host.uid);
  const gid = insideID(identity.gidMap, host.gid);
  if (!uid || !gid) return { passwd: "", group: "" };
  const passwd = readBelow(lowers, "etc/passwd");
  const group = readBelow(lowers, "etc/group");
  return {
    passwd: hasID(passwd, uid) ? "" : line(passwd, `${freeName(passwd, host.user, uid)}:x:${uid}:${gid}::/:/bin/sh`),
    group: hasID(group, gid) ? "" : line(group, `${freeName(group, host.user, gid)}:x:${gid}:`),
  };
}

/** The two files as a whole, where only one id exists: there the init layer is shared with containers whose root is the caller. */
export function accountFiles(engine: Engine, lowers: string[], identity: Identity): Record<"passwd" | "group", string> {
  const { passwd, group } = callerAccounts(engine, lowers, identity);
  return {
    passwd: readBelow(lowers, "etc/passwd") + passwd,
    group: readBelow(lowers, "etc/group") + group,
  };
}

function hasID(text: string, id: number): boolean {
  return text.split("\n").some((row) => row.split(":")[2] === String(id));
}

function freeName(text: string, wanted: string, id: number): string {
  const plain = /^[a-z_][a-z0-9_.-]*$/i.test(wanted) ? wanted : `user${id}`;
  return text.split("\n").some((row) => row.split(":")[0] === plain) ? `user${id}` : plain;
}

/** A text whose last line has no end would swallow what is added. */
function line(text: string, added: string): string {
  return `${text === "" || text.endsWith("\n") ? "" : "\n"}${added}\n`;
}
