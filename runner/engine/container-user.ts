import { closeSync, fstatSync, readFileSync } from "node:fs";
import { groupID, passwdNames, type ResolvedUser, resolveUser } from "../plan/user.ts";
import { openInRoot } from "../sys/native.ts";

/** Larger than any real passwd file; a hostile image must not make us read forever. */
const MAX_SIZE = 1 << 20;

/**
 * Who `spec` is, by the container's own files. They are looked for in the layers from the top, each lookup scoped to its layer: a link in
 * an image can't make us read a file of the host.
 */
export function containerUser(spec: string, lowers: string[]): ResolvedUser {
  return resolveUser(spec, readBelow(lowers, "etc/passwd"), readBelow(lowers, "etc/group"));
}

/** `--group-add`: more groups, by id or by the names of the container's own /etc/group. */
export function withGroups(user: ResolvedUser, names: readonly string[] | undefined, lowers: string[]): ResolvedUser {
  if (!names?.length) return user;
  const text = readBelow(lowers, "etc/group");
  return { ...user, groups: [...new Set([...user.groups, ...names.map((name) => groupID(name, text))])] };
}

/** A small file as the layers show it, topmost first; empty where there is none. */
export function readBelow(lowers: string[], path: string): string {
  for (const lower of lowers) {
    let fd: number;
    try {
      fd = openInRoot(lower, path);
    } catch {
      continue;
    }
    try {
      const stat = fstatSync(fd);
      if (stat.isCharacterDevice()) return ""; // a whiteout: this layer removed it
      if (stat.isFile() && stat.size <= MAX_SIZE) return readFileSync(fd, "utf8");
    } finally {
      closeSync(fd);
    }
  }
  return "";
}

/** Names of the container's users by their ids. */
export function userNames(lowers: string[]): Map<number, string> {
  return passwdNames(readBelow(lowers, "etc/passwd"));
}
