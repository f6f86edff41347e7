/**
 * `list-tree.ts DIR`: everything below a folder, a JSON object a line: what two unpackers must agree on. A program of its own, because it runs
 * inside a user namespace, where the owners are those of the image.
 */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { getXattr, listXattrs } from "../../runner/sys/native.ts";

const root = process.argv[2] ?? ".";
const links = new Map<number, string>();

function list(path: string): void {
  const whole = join(root, path);
  const stat = lstatSync(whole);
  const isFile = stat.isFile();
  const first = isFile && stat.nlink > 1 ? links.get(stat.ino) : undefined;
  if (isFile && first === undefined) links.set(stat.ino, path);
  const xattrs = stat.isSymbolicLink()
    ? []
    : listXattrs(whole)
        // an unpacker's own notes, and what the kernel adds
        .filter(
          (name) => !/^(user\.overlay\.|trusted\.overlay\.|security\.selinux|user\.rootlesscontainers)/.test(name),
        )
        .sort()
        .map((name) => [name, getXattr(whole, name)?.toString("hex")]);
  const entry = {
    path: path || ".",
    mode: stat.mode.toString(8),
    uid: stat.uid,
    gid: stat.gid,
    ...(stat.isDirectory() ? {} : { size: stat.size }),
    // a folder's time is set by whoever unpacks last into it
    ...(path === "" ? {} : { mtime: Math.floor(stat.mtimeMs / 1000) }),
    ...(stat.isCharacterDevice() || stat.isBlockDevice() ? { rdev: stat.rdev } : {}),
    ...(stat.isSymbolicLink() ? { target: readlinkSync(whole) } : {}),
    ...(first === undefined ? {} : { link: first }),
    ...(isFile ? { sha256: createHash("sha256").update(readFileSync(whole)).digest("hex") } : {}),
    ...(xattrs.length > 0 ? { xattrs } : {}),
  };
  console.log(JSON.stringify(entry));
  if (stat.isDirectory()) for (const name of readdirSync(whole).sort()) list(join(path, name));
}

list("");
