/** One place of the host's root in a sandbox of it. */
export type HostRootEntry =
  | { kind: "overlay"; path: string; mode: number }
  | { kind: "directory"; path: string; mode: number }
  | { kind: "symlink"; path: string; target: string }
  | { kind: "file"; path: string };

/** Made anew inside, so never taken from the host. */
const OWN = ["/proc", "/sys", "/dev"];

/** What is listed of a directory of the host. */
export interface HostDirectory {
  mode: number;
  entries: { name: string; type: "directory" | "symlink" | "file"; mode: number; target?: string }[];
}

/**
 * How the machine's root becomes a set of overlays. The kernel refuses an overlay over a directory that has mounts below it (they are locked in a new
 * user namespace: what they cover must stay covered), so each such directory is rebuilt as a plain one, and every child is treated
 * alike: an overlay where nothing is mounted below, another round where something is. Below the mount points of `kernel` nothing is looked at:
 * they are empty inside.
 */
export function hostRootEntries(
  mounts: string[],
  list: (path: string) => HostDirectory | undefined,
  kernel: readonly string[] = [],
): HostRootEntry[] {
  const points = [...new Set(mounts)].filter((point) => point !== "/");
  const out: HostRootEntry[] = [];
  const visit = (path: string) => {
    const directory = list(path === "" ? "/" : path);
    if (!directory) return;
    for (const entry of directory.entries) {
      const child = `${path}/${entry.name}`;
      if (OWN.includes(child)) continue;
      if (entry.type === "symlink") out.push({ kind: "symlink", path: child, target: entry.target ?? "" });
      else if (entry.type === "file") out.push({ kind: "file", path: child });
      else if (kernel.includes(child)) out.push({ kind: "directory", path: child, mode: entry.mode });
      else if (points.some((point) => point.startsWith(`${child}/`))) {
        out.push({ kind: "directory", path: child, mode: entry.mode });
        visit(child);
      } else out.push({ kind: "overlay", path: child, mode: entry.mode });
    }
  };
  visit("");
  return out;
}
