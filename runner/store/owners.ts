import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** What could not be set when a layer was unpacked (the helper's `deferred` events), by path; bytes as latin1 characters. */
export interface Deferred {
  path: string;
  uid: number;
  gid: number;
  mode: number;
  kind: number;
  major: number;
  minor: number;
}

export type Owners = ReadonlyMap<string, Deferred>;

const NONE: Owners = new Map();

/** Of the unpacked layer whose tree is at `root`. */
export function layerOwners(root: string): Owners {
  let text: string;
  try {
    text = readFileSync(join(dirname(root), "owners"), "utf8");
  } catch {
    return NONE;
  }
  const found = new Map<string, Deferred>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const event = JSON.parse(line) as Deferred;
    found.set(
      event.path.replace(/%([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
      event,
    );
  }
  return found;
}

/** As the helper writes paths in events: letters, digits and "-._~/" stay. */
export function percentEncoded(path: string): string {
  return path.replace(
    /[^A-Za-z0-9._~/-]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, "0")}`,
  );
}
