/** What of a file COPY and ADD keep beside its content: extended attributes and hard links, as buildah does. */

import { linkSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { buffer } from "node:stream/consumers";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { type LayerRecord, RecordKind } from "../../runner/layers/abi.ts";
import { readEntries } from "../../runner/layers/reader.ts";
import { fileRecord, writeArchive } from "../../runner/layers/writer.ts";
import { setXattr } from "../../runner/sys/native.ts";
import { need } from "../support/need.ts";
import { type BuildWorkspace, buildWorkspace } from "./support/build.ts";

const onKernel = need(["user-namespace", "subids", "not-root"], test);

/** cap_net_raw, effective and permitted: struct vfs_cap_data of linux/capability.h, version 2. */
const CAPABILITY = Buffer.from("0100000200200000000000000000000000000000", "hex");

/** The tree of a target, by path. */
async function treeOf(box: BuildWorkspace, dockerfile: string): Promise<Map<string, LayerRecord>> {
  const tar = join(box.dir, "tree.tar");
  const { code, stderr } = await box.build(dockerfile, ["-o", `type=tar,dest=${tar}`]);
  assert.is(code, 0, stderr);
  const records = new Map<string, LayerRecord>();
  for await (const { record } of readEntries(Readable.from([readFileSync(tar)]), { whiteouts: false }))
    records.set(Buffer.from(record.path).toString().replace(/\/$/, ""), record);
  return records;
}

function attributes(record: LayerRecord | undefined): Record<string, string> {
  const entries = (record?.xattrs ?? []).map(({ name, value }) => [
    Buffer.from(name).toString(),
    Buffer.from(value).toString("hex"),
  ]);
  return Object.fromEntries(entries);
}

onKernel("capabilities and user attributes of a stage's files are copied with them", async () => {
  await using box = buildWorkspace();
  const xattrs = [
    { name: Buffer.from("security.capability"), value: CAPABILITY },
    { name: Buffer.from("user.note"), value: Buffer.from("kept") },
  ];
  const archive = Readable.from(
    writeArchive([{ record: fileRecord("ping", 4, { mode: 0o755, xattrs }), content: [Buffer.from("ping")] }]),
  );
  writeFileSync(join(box.context, "files.tar"), await buffer(archive));
  const text = "FROM base AS made\nADD files.tar /bin/\nFROM scratch\nCOPY --from=made /bin/ping /ping\n";
  const tree = await treeOf(box, text);
  assert.equal(attributes(tree.get("ping")), {
    "security.capability": CAPABILITY.toString("hex"),
    "user.note": Buffer.from("kept").toString("hex"),
  });
});

onKernel("user attributes of the context are copied, and a change of one is a change of the file", async () => {
  await using box = buildWorkspace();
  box.files({ "d/f": "content", "d/plain": "plain", "d/sub/": "" });
  const file = join(box.context, "d/f");
  setXattr(file, "user.note", Buffer.from("one"));
  setXattr(join(box.context, "d/sub"), "user.folder", Buffer.from("yes"));
  const text = "FROM scratch\nCOPY d /d\n";
  const tree = await treeOf(box, text);
  assert.equal(attributes(tree.get("d/f")), { "user.note": Buffer.from("one").toString("hex") });
  assert.equal(attributes(tree.get("d/sub")), { "user.folder": Buffer.from("yes").toString("hex") });
  assert.equal(attributes(tree.get("d/plain")), {});
  assert.match((await box.build(text)).stderr, /CACHED/);
  setXattr(file, "user.note", Buffer.from("two"));
  const again = await treeOf(box, text);
  assert.equal(attributes(again.get("d/f")), { "user.note": Buffer.from("two").toString("hex") });
});

onKernel("marks of overlays do not get in by way of a context", async () => {
  await using box = buildWorkspace();
  box.files({ "d/sub/f": "content" });
  setXattr(join(box.context, "d/sub"), "user.overlay.opaque", Buffer.from("y"));
  const tree = await treeOf(box, "FROM scratch\nCOPY d /d\n");
  assert.equal(attributes(tree.get("d/sub")), {});
});

onKernel("hard links stay links within what one word copies", async () => {
  await using box = buildWorkspace();
  box.files({ "d/a": "context" });
  linkSync(join(box.context, "d/a"), join(box.context, "d/b"));
  const tree = await treeOf(
    box,
    [
      "FROM base AS made",
      "COPY d /d",
      "RUN mkdir /w && echo stage > /w/a && ln /w/a /w/b && mkdir /w/sub && ln /w/a /w/sub/c",
      "FROM scratch",
      "COPY --from=made /w /w",
      "COPY --from=made /d /d",
      "COPY --from=made /w/a /w/b /apart/",
    ].join("\n"),
  );
  const linkOf = (path: string) => {
    const record = tree.get(path);
    return record?.kind === RecordKind.HARDLINK ? Buffer.from(record.link).toString() : undefined;
  };
  assert.is(linkOf("w/b"), "w/a");
  assert.is(linkOf("w/sub/c"), "w/a");
  assert.is(linkOf("d/b"), "d/a");
  assert.is(linkOf("apart/a"), undefined);
  assert.is(linkOf("apart/b"), undefined);
});

onKernel("hard links of a folder that is closed to the caller, too", async () => {
  await using box = buildWorkspace();
  const tree = await treeOf(
    box,
    [
      "FROM base AS made",
      "RUN mkdir -m 700 /w && echo stage > /w/a && ln /w/a /w/b && chown -R 5:5 /w",
      "FROM scratch",
      "COPY --from=made /w /w",
    ].join("\n"),
  );
  assert.is(tree.get("w/b")?.kind, RecordKind.HARDLINK);
  assert.is(tree.get("w/a")?.uid, 5);
});

test.run();
