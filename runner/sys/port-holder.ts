import { readdirSync, readlinkSync } from "node:fs";
import { readText } from "./host-facts.ts";

export interface PortHolder {
  uid: number;
  /** Of a process that the caller may look at. */
  process?: { pid: number; argv: string[] };
}

const LISTENS = "0A";

/** Who listens on a TCP port of this machine; undefined: nobody now. */
export function portHolder(port: number): PortHolder | undefined {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  for (const table of ["/proc/net/tcp", "/proc/net/tcp6"]) {
    for (const line of readText(table).split("\n").slice(1)) {
      const fields = line.trim().split(/\s+/);
      if (!fields[1]?.endsWith(`:${hex}`) || fields[3] !== LISTENS) continue;
      const process = ownerOf(`socket:[${fields[9]}]`);
      return { uid: Number(fields[7]), ...(process && { process }) };
    }
  }
  return undefined;
}

function ownerOf(socket: string): PortHolder["process"] {
  for (const pid of names("/proc").filter((name) => /^\d+$/.test(name))) {
    const folder = `/proc/${pid}/fd`;
    if (!names(folder).some((fd) => target(`${folder}/${fd}`) === socket)) continue;
    return { pid: Number(pid), argv: readText(`/proc/${pid}/cmdline`).split("\0").slice(0, -1) };
  }
  return undefined;
}

/** Other people's processes show nothing. */
function names(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function target(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return "";
  }
}
