/** An image whose layers do to each other everything that the explorer tells apart. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { folder, hardlink, ociParts, symlink, tarOf } from "../../support/oci.ts";
import type { Workspace } from "../../support/tsbox.ts";
import { archive, entry } from "../../unit/layers/archives.ts";

/** Names that would do harm where they were taken for more than names. */
export const HOSTILE = {
  control: "evil/\x1b[2J\x1b]0;owned\x07",
  markup: "evil/<script>document.title='owned'<!--",
  image: "evil/<img src=x onerror=document.title='owned'>",
  bytes: "evil/caf\xe9\xff",
};

const lines = (count: number, change = "") =>
  `${Array.from({ length: count }, (_, i) => (i === 5 && change ? change : `line ${i + 1}`)).join("\n")}\n`;

export const LAYERS = [
  archive(
    folder("etc/"),
    entry({ name: "etc/motd" }, lines(12)),
    entry({ name: "etc/shadow", mode: 0o600 }, "secret\n"),
    folder("opt/"),
    folder("opt/old/"),
    entry({ name: "opt/old/a" }, "a".repeat(3000)),
    entry({ name: "opt/old/b" }, "b".repeat(2000)),
    folder("data/"),
    entry({ name: "data/one" }, "1".repeat(1000)),
    entry({ name: "data/linked" }, "l".repeat(700)),
    hardlink("data/other-name", "data/linked"),
    entry({ name: "data/binary" }, "\0\x01\x02binary"),
    symlink("data/link", "one"),
  ),
  archive(
    folder("etc/"),
    entry({ name: "etc/motd" }, lines(12, "changed <b>here</b> \x1b[31m")),
    entry({ name: "etc/shadow", mode: 0o644 }, "secret\n"),
    entry({ name: "opt/.wh.old" }),
    entry({ name: "data/.wh.linked" }),
    entry({ name: "data/binary" }, "\0\x01\x02BINARY"),
    entry({ name: "data/copy" }, "1".repeat(1000)),
    symlink("data/link", "copy"),
  ),
  archive(
    folder("data/"),
    entry({ name: "data/.wh..wh..opq" }),
    entry({ name: "data/one" }, "1".repeat(1000)),
    folder("evil/"),
    ...Object.values(HOSTILE).map((name) => entry({ name }, `${name}\n`)),
  ),
];

export const HISTORY = [
  { created_by: "/bin/sh -c #(nop) ADD file:1 in / ", created: "2024-01-01T00:00:00Z" },
  { created_by: "/bin/sh -c #(nop)  ENV A=1", empty_layer: true },
  { created_by: "RUN /bin/sh -c rm -r /opt/old # buildkit" },
  { created_by: "COPY evil\x1b[2J <script>alert(1)</script> / # buildkit" },
];

/** Writes the archive of an image of these layers and loads it. */
export async function loadLayers(box: Workspace, layers: Buffer[], name: string, history?: object[]): Promise<void> {
  const path = join(box.dir, "layers.tar");
  writeFileSync(path, tarOf(ociParts(layers, name, {}, history ? { history } : {}).files));
  const { code, stderr } = await box.tsbox("load", "-q", "-i", path);
  if (code !== 0) throw new Error(stderr);
}
