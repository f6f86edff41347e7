/**
 * Makes dist/base.tar, the built-in image `base`: an OCI archive with one layer, Debian's static
 * busybox and the few files that programs expect. The same busybox gives the same bytes.
 *
 * The layer is not compressed: the package is, as a whole, and the first `run base` is faster.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { type Entry, tar } from "./base-image/tar.ts";

const REFERENCE = "base:latest";
const BUSYBOX = ["/bin/busybox", "/usr/bin/busybox"].find((path) => existsSync(path));
const COPYRIGHT = "/usr/share/doc/busybox-static/copyright";
const ARCHITECTURES: Record<string, string> = { x64: "amd64", arm64: "arm64" };

const ETC: Record<string, string> = {
  passwd: "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n",
  group: "root:x:0:\ntty:x:5:\nusers:x:100:\nnogroup:x:65534:\n",
  "os-release": 'NAME="tsbox base"\nID=tsbox-base\nPRETTY_NAME="tsbox base image (busybox)"\n',
  profile: "export PS1='\\u@\\h:\\w\\$ '\n",
};

function rootfs(busybox: string): Entry[] {
  const entries = new Map<string, Entry>();
  const add = (entry: Entry) => entries.set(entry.path, entry);
  const directory = (path: string, mode = 0o755) => add({ path, type: "directory", mode });
  const file = (path: string, content: string | Buffer, mode = 0o644) =>
    add({ path, type: "file", mode, content: Buffer.from(content) });

  for (const path of ["bin", "dev", "etc", "home", "proc", "run", "sbin", "sys", "usr", "usr/bin", "usr/sbin", "var"])
    directory(path);
  directory("root", 0o700);
  directory("tmp", 0o1777);
  directory("var/tmp", 0o1777);
  for (const [name, content] of Object.entries(ETC)) file(`etc/${name}`, content);
  file("bin/busybox", readFileSync(busybox), 0o755);

  // Its licence goes where it goes.
  if (existsSync(COPYRIGHT)) {
    for (const path of ["usr/share", "usr/share/doc", "usr/share/doc/busybox-static"]) directory(path);
    file(COPYRIGHT.slice(1), readFileSync(COPYRIGHT));
  }

  // Symbolic links, not hard links: `ls -l` shows what they are, and a copy of the tree stays small.
  for (const path of execFileSync(busybox, ["--list-full"], { encoding: "utf8" }).split("\n")) {
    if (/^(usr\/)?s?bin\/[^/]+$/.test(path) && !entries.has(path))
      add({ path, type: "symlink", mode: 0o777, target: "/bin/busybox" });
  }
  // Parents sort before what is in them.
  return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

interface Blob {
  mediaType: string;
  digest: string;
  size: number;
  content: Buffer;
}

function blob(mediaType: string, content: Buffer): Blob {
  const hex = createHash("sha256").update(content).digest("hex");
  return { mediaType, digest: `sha256:${hex}`, size: content.length, content };
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const descriptor = ({ mediaType, digest, size }: Blob) => ({ mediaType, digest, size });

function image(busybox: string): Buffer {
  const architecture = ARCHITECTURES[process.arch] ?? process.arch;
  const layer = blob("application/vnd.oci.image.layer.v1.tar", tar(rootfs(busybox)));
  const config = blob(
    "application/vnd.oci.image.config.v1+json",
    json({
      created: "1970-01-01T00:00:00Z",
      architecture,
      os: "linux",
      config: {
        Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        Cmd: ["sh"],
        WorkingDir: "/",
        Labels: { "org.opencontainers.image.licenses": "GPL-2.0-only" },
      },
      rootfs: { type: "layers", diff_ids: [layer.digest] },
      history: [{ created: "1970-01-01T00:00:00Z", created_by: "tsbox base image: busybox-static" }],
    }),
  );
  const manifest = blob(
    "application/vnd.oci.image.manifest.v1+json",
    json({
      schemaVersion: 2,
      mediaType: "application/vnd.oci.image.manifest.v1+json",
      config: descriptor(config),
      layers: [descriptor(layer)],
    }),
  );
  const index = json({
    schemaVersion: 2,
    mediaType: "application/vnd.oci.image.index.v1+json",
    manifests: [
      {
        ...descriptor(manifest),
        platform: { architecture, os: "linux" },
        annotations: { "org.opencontainers.image.ref.name": REFERENCE },
      },
    ],
  });
  const files: Entry[] = [
    { path: "oci-layout", type: "file", mode: 0o644, content: json({ imageLayoutVersion: "1.0.0" }) },
    { path: "index.json", type: "file", mode: 0o644, content: index },
    { path: "blobs", type: "directory", mode: 0o755 },
    { path: "blobs/sha256", type: "directory", mode: 0o755 },
  ];
  for (const { digest, content } of [manifest, config, layer])
    files.push({ path: `blobs/${digest.replace(":", "/")}`, type: "file", mode: 0o644, content });
  return tar(files);
}

const target = process.argv[2];
if (target === undefined || BUSYBOX === undefined) {
  console.error(
    target === undefined ? "usage: base-image FILE" : "Cannot make the base image: busybox is not installed",
  );
  process.exitCode = 1;
} else {
  writeFileSync(`${target}.new`, image(BUSYBOX));
  renameSync(`${target}.new`, target);
}
