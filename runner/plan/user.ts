import { TsboxError } from "../base/error.ts";

/** Who the process is inside. */
export interface ResolvedUser {
  uid: number;
  gid: number;
  groups: number[];
  home: string;
}

interface PasswdEntry {
  name: string;
  uid: number;
  gid: number;
  home: string;
}

/**
 * Finds `UID[:GID]` or `NAME[:GROUP]` in the texts of the container's own /etc/passwd and /etc/group, with Docker's rules: a number need not exist; a
 * name must; supplementary groups are those that list the user, unless a group was named.
 */
export function resolveUser(spec: string, passwd: string, group: string): ResolvedUser {
  const [userPart = "", groupPart] = spec.split(":", 2);
  const entries = parsePasswd(passwd);
  const wanted = userPart === "" ? "0" : userPart;
  const entry = entries.find((e) => e.name === wanted) ?? entries.find((e) => String(e.uid) === wanted);
  if (!entry && !/^\d+$/.test(wanted)) throw unknown("user", wanted, "/etc/passwd");
  const uid = entry?.uid ?? number(wanted, "user");
  const groups = parseGroup(group);
  let gid = entry?.gid ?? 0;
  let extra: number[] = [];
  if (groupPart !== undefined && groupPart !== "") {
    const found = groups.find((g) => g.name === groupPart);
    if (!found && !/^\d+$/.test(groupPart)) throw unknown("group", groupPart, "/etc/group");
    gid = found?.gid ?? number(groupPart, "group");
  } else if (entry) {
    extra = groups.filter((g) => g.members.includes(entry.name)).map((g) => g.gid);
  }
  return { uid, gid, groups: [...new Set([gid, ...extra])], home: entry?.home || (uid === 0 ? "/root" : "/") };
}

/** The id of a group that is named, or given as a number, which need not exist. */
export function groupID(name: string, group: string): number {
  const found = parseGroup(group).find((g) => g.name === name);
  if (!found && !/^\d+$/.test(name)) throw unknown("group", name, "/etc/group");
  return found?.gid ?? number(name, "group");
}

function number(text: string, what: string): number {
  const value = Number(text);
  if (!(value <= 0x7fffffff)) throw new TsboxError(`Cannot use ${what} "${text}": ids go from 0 to 2147483647`);
  return value;
}

function unknown(what: string, name: string, file: string): TsboxError {
  return new TsboxError(`Cannot run as ${what} "${name}": not in the container's ${file}`, {
    code: "UNKNOWN_USER",
    hint: `name one that the image has, or a number`,
    exitCode: 126,
  });
}

function parsePasswd(text: string): PasswdEntry[] {
  return rows(text, 4).map((f) => ({
    name: f[0] ?? "",
    uid: Number(f[2]),
    gid: Number(f[3]),
    home: f[5] ?? "",
  }));
}

function parseGroup(text: string): { name: string; gid: number; members: string[] }[] {
  return rows(text, 3).map((f) => ({ name: f[0] ?? "", gid: Number(f[2]), members: (f[3] ?? "").split(",") }));
}

function rows(text: string, least: number): string[][] {
  return text
    .split("\n")
    .map((line) => line.split(":"))
    .filter((f) => f.length >= least && f[0] !== "" && /^\d+$/.test(f[2] ?? ""));
}

/** The first name of each id. */
export function passwdNames(passwd: string): Map<number, string> {
  return new Map(
    parsePasswd(passwd)
      .reverse()
      .map(({ uid, name }) => [uid, name]),
  );
}
