/** Where what is copied goes: docker's rules, as a pure function of what is there. */

import { posix } from "node:path";
import { TsboxError, visible } from "../base/error.ts";

export type Kind = "directory" | "file" | "link" | "other" | "missing";

/** A path as it was given. */
export interface GivenPath {
  /** Absolute, without the marks at its end. */
  path: string;
  /** It ended with a slash: it must be a directory. */
  slash: boolean;
  /** It ended with `/.`: what is in the directory, not the directory. */
  contents: boolean;
}

/** Node's normalize() keeps no `/.`, which means something here. */
export function givenPath(text: string, base: string): GivenPath {
  const absolute = text.startsWith("/") ? text : `${base}/${text}`;
  const contents = /\/\.\/*$/.test(absolute) || text === "." || text === "";
  return {
    path: posix.normalize(absolute).replace(/(?<=.)\/+$/, ""),
    slash: absolute.endsWith("/"),
    contents,
  };
}

/** What copying means on the other side. */
export interface Placing {
  /** A directory that is there. */
  root: string;
  /** The name in it; empty: the content of the directory that is copied goes into `root` itself. */
  name: string;
}

export interface Destination extends GivenPath {
  /** With links followed. */
  kind: Kind;
  /** Where links have led. */
  resolved: string;
  /** Kind of the directory that `resolved` is in, links followed. */
  parent: Kind;
}

export function placing(source: GivenPath & { kind: Kind }, destination: Destination, overwrite: boolean): Placing {
  const isDirectory = source.kind === "directory";
  const to = visible(destination.path);
  if (source.kind === "missing") throw refused(source.path, "there is no such file", "NO_SUCH_FILE");
  if ((source.slash || source.contents) && !isDirectory)
    throw refused(source.path, "it is not a directory", "NOT_A_DIRECTORY");
  if (destination.kind === "directory") {
    return { root: destination.resolved, name: isDirectory && source.contents ? "" : posix.basename(source.path) };
  }
  const there = { root: posix.dirname(destination.resolved), name: posix.basename(destination.resolved) };
  if (destination.kind === "missing") {
    if (destination.parent !== "directory") {
      throw refused(source.path, `the directory of "${to}" does not exist`, "NO_PARENT");
    }
    if ((destination.slash || destination.contents) && !isDirectory) {
      throw refused(source.path, `the directory "${to}" does not exist`, "NO_SUCH_DIRECTORY");
    }
    return there;
  }
  if (isDirectory && !overwrite)
    throw refused(source.path, `"${to}" is a file, and it is a directory`, "NOT_A_DIRECTORY");
  if (destination.slash || destination.contents)
    throw refused(source.path, `"${to}" is not a directory`, "NOT_A_DIRECTORY");
  return there;
}

function refused(path: string, why: string, code: string): TsboxError {
  const hints: Record<string, string> = {
    NO_PARENT: "make it first; only the last part of the path is made",
    NO_SUCH_DIRECTORY: "make it first, or leave the slash at its end away",
  };
  return new TsboxError(`Cannot copy "${visible(path)}": ${why}`, {
    code,
    exitCode: 1,
    ...(hints[code] !== undefined && { hint: hints[code] }),
  });
}
