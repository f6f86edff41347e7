import { test } from "uvu";
import * as assert from "uvu/assert";
import { RecordKind } from "../../../runner/layers/abi.ts";
import { archive, chunks, entry, recordsOf } from "./archives.ts";

const LAYER = archive(
  entry({ name: "etc/", type: "5" }),
  entry({ name: "etc/.wh..wh..opq" }),
  entry({ name: "etc/.wh.passwd" }, "a whiteout's content means nothing"),
  entry({ name: "./.wh.tmp/", type: "5" }),
  entry({ name: ".wh..wh..opq" }),
  entry({ name: ".wh..wh.plnk/", type: "5" }),
  entry({ name: ".wh..wh.plnk/12.34" }, "aufs"),
  entry({ name: ".wh..wh.aufs" }, "aufs"),
  entry({ name: "last" }, "text"),
);

test("a layer's whiteouts become records, and bookkeeping of aufs nothing", async () => {
  const entries = await recordsOf(chunks(LAYER));
  assert.equal(
    entries.map(({ record, path }) => [record.kind, path]),
    [
      [RecordKind.DIRECTORY, "etc"],
      [RecordKind.OPAQUE, "etc"],
      [RecordKind.WHITEOUT, "etc/passwd"],
      [RecordKind.WHITEOUT, "tmp"],
      [RecordKind.OPAQUE, ""],
      [RecordKind.FILE, "last"],
    ],
  );
  assert.is(entries.at(-1)?.content.toString(), "text");
});

test("in an archive that is no layer the same names are files", async () => {
  const entries = await recordsOf(chunks(LAYER), false);
  assert.is(entries.length, 9);
  assert.is(entries[2]?.path, "etc/.wh.passwd");
  assert.is(entries[2]?.content.toString(), "a whiteout's content means nothing");
});

test.run();
