/**
 * `list-merged.ts DIR`: everything below a folder, a JSON object a line, to the nanosecond and with names of any bytes. A program of its own, because it
 * runs inside a user namespace, on an overlay.
 */
import { createHash } from "node:crypto";
import { closeSync, lstatSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { getXattr, listXattrs } from "../../runner/sys/native.ts";

const root = Buffer.from(process.argv[2] ?? ".");
const links = new Map<string, string>();
const lines: string[] = [];

/** The calls take text: the folder, of whatever name, is reached by a descriptor. */
function xattrs(path: Buffer): string[] {
  const slash = path.lastIndexOf("/");
  const name = String(path.subarray(slash + 1));
  if (!Buffer.from(name).equals(path.subarray(slash + 1))) return [];
  const fd = openSync(path.subarray(0, slash), "r");
  try {
    const self = `/proc/self/fd/${fd}/${name}`;
    return listXattrs(self)
      .sort()
      .map((name) => `${name}=${getXattr(self, name)?.toString("hex")}`);
  } finally {
    closeSync(fd);
  }
}

function list(path: Buffer, name: string): void {
  const stat = lstatSync(path, { bigint: true });
  const kind = Number(stat.mode) & 0o170000;
  const inode = `${stat.dev}:${stat.ino}`;
  const first = stat.isDirectory() || stat.nlink === 1n ? undefined : links.get(inode);
  if (!stat.isDirectory() && first === undefined) links.set(inode, name);
  const entry = {
    name,
    kind: kind.toString(8),
    mode: (Number(stat.mode) & 0o7777).toString(8),
    owner: `${stat.uid}:${stat.gid}`,
    // of "/" it says when somebody last made the folder
    ...(name === "" ? {} : { mtime: String(stat.mtimeNs) }),
    ...(stat.isDirectory() ? {} : { size: String(stat.size) }),
    ...(stat.isSymbolicLink() ? { target: readlinkSync(path, { encoding: "buffer" }).toString("latin1") } : {}),
    ...(first === undefined ? {} : { first }),
    ...(stat.isFile() ? { sha256: createHash("sha256").update(readFileSync(path)).digest("hex") } : {}),
    ...(stat.isFile() || stat.isDirectory() ? { xattrs: xattrs(path) } : {}),
  };
  lines.push(JSON.stringify(entry));
  if (!stat.isDirectory()) return;
  for (const child of readdirSync(path, { encoding: "buffer" }).sort(Buffer.compare)) {
    list(Buffer.concat([path, Buffer.from("/"), child]), `${name}/${child.toString("latin1")}`);
  }
}

list(root, "");
console.log(lines.join("\n"));
