import { test } from "uvu";
import * as assert from "uvu/assert";
import { type HostDirectory, hostRootEntries } from "../../../runner/plan/host-root.ts";

const directory = (...names: string[]): HostDirectory => ({
  mode: 0o755,
  entries: names.map((name) =>
    name.endsWith("/")
      ? { name: name.slice(0, -1), type: "directory", mode: 0o755 }
      : name.includes("->")
        ? { name: name.split("->")[0] as string, type: "symlink", mode: 0o777, target: name.split("->")[1] as string }
        : { name, type: "file", mode: 0o644 },
  ),
});

test("hostRootEntries() overlays what has no mounts below, rebuilds what has, and leaves out /proc, /sys and /dev", () => {
  const tree: Record<string, HostDirectory> = {
    "/": directory("bin->usr/bin", "usr/", "var/", "proc/", "sys/", "dev/", "note"),
    "/var": directory("lib/", "log/"),
    "/var/lib": directory("data/"),
  };
  const entries = hostRootEntries(["/", "/proc", "/dev/pts", "/var/lib/data"], (path) => tree[path]);
  assert.equal(
    entries.map((entry) => `${entry.kind} ${entry.path}`),
    [
      "symlink /bin",
      "overlay /usr",
      "directory /var",
      "directory /var/lib",
      "overlay /var/lib/data",
      "overlay /var/log",
      "file /note",
    ],
  );
});

test("hostRootEntries() does not take /variable for a child of /var", () => {
  const tree = { "/": directory("var/", "variable/") } as Record<string, HostDirectory>;
  const entries = hostRootEntries(["/variable/x"], (path) => tree[path] ?? directory("x/"));
  assert.equal(
    entries.map((entry) => `${entry.kind} ${entry.path}`),
    ["overlay /var", "directory /variable", "overlay /variable/x"],
  );
});

test("a /proc that somebody has mounted elsewhere is an empty folder inside", () => {
  const folders: Record<string, string[]> = { "/": ["srv"], "/srv": ["chroot"], "/srv/chroot": ["etc", "proc"] };
  const list = (path: string) =>
    folders[path] && {
      mode: 0o755,
      entries: folders[path].map((name) => ({ name, type: "directory" as const, mode: 0o755 })),
    };
  assert.equal(hostRootEntries(["/", "/srv/chroot/proc"], list, ["/srv/chroot/proc"]), [
    { kind: "directory", path: "/srv", mode: 0o755 },
    { kind: "directory", path: "/srv/chroot", mode: 0o755 },
    { kind: "overlay", path: "/srv/chroot/etc", mode: 0o755 },
    { kind: "directory", path: "/srv/chroot/proc", mode: 0o755 },
  ]);
});

test.run();
