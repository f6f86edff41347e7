import { TsboxError, visible } from "../base/error.ts";

/** What a volume is, by its driver options; they are mount(8)'s, as docker's `local` driver takes them. */
export type VolumeType = { flags: string[] } & (
  | { type: "folder" }
  | { type: "tmpfs"; options: string }
  | { type: "bind"; device: string; recursive: boolean }
);

const FLAGS = new Set(["ro", "nosuid", "nodev", "noexec"]);
const WITHOUT_EFFECT = new Set(["rw", "suid", "dev", "exec", "defaults"]);
const TMPFS = /^(size|mode|uid|gid|nr_inodes|nr_blocks|huge|mpol)=.+$/;
const KNOWN = ["type", "device", "o"];

/** Refuses what a user without root cannot mount. */
export function parseVolumeOptions(name: string, options: Readonly<Record<string, string>>): VolumeType {
  for (const key of Object.keys(options)) {
    if (!KNOWN.includes(key)) throw refused(name, `unknown option "${visible(key)}", expected type, device or o`);
  }
  const words = (options.o ?? "").split(",").filter((word) => word !== "");
  const flags = words.filter((word) => FLAGS.has(word));
  const rest = words.filter((word) => !FLAGS.has(word) && !WITHOUT_EFFECT.has(word));
  const { type = "", device = "" } = options;
  if (type === "tmpfs") {
    const unknown = rest.find((word) => !TMPFS.test(word));
    if (unknown !== undefined) throw refused(name, `a tmpfs has no option "${visible(unknown)}"`);
    return { type: "tmpfs", flags, options: rest.join(",") };
  }
  const recursive = rest.includes("rbind");
  if (recursive || rest.includes("bind")) {
    const unknown = rest.find((word) => !/^r?bind$/.test(word));
    if (unknown !== undefined) throw refused(name, `a bind has no option "${visible(unknown)}"`);
    if (!device.startsWith("/")) throw refused(name, "a bind needs device=, the absolute path of a folder");
    return { type: "bind", flags, device, recursive };
  }
  if (type !== "" || device !== "" || rest.length > 0) {
    throw refused(name, `mounting type "${visible(type || "none")}" needs root`, "type=tmpfs and o=bind work without");
  }
  return { type: "folder", flags };
}

function refused(name: string, why: string, hint?: string): TsboxError {
  return new TsboxError(`Cannot use volume "${name}": ${why}`, {
    code: "VOLUME_OPTIONS",
    hint: hint ?? "for example --opt type=tmpfs --opt device=tmpfs --opt o=size=64m",
  });
}
