import { test } from "uvu";
import * as assert from "uvu/assert";
import { splitCsv } from "../../../../runner/cli/options/csv.ts";
import { parseMount } from "../../../../runner/cli/options/mount.ts";
import { parseTmpfs } from "../../../../runner/cli/options/tmpfs.ts";
import { parseVolume } from "../../../../runner/cli/options/volume.ts";

const bind = {
  type: "bind",
  source: "/s",
  target: "/t",
  readOnly: false,
  recursive: true,
  createSource: true,
  flags: [],
  overlay: false,
  chown: false,
};
const named = {
  type: "volume",
  name: "data",
  target: "/t",
  readOnly: false,
  noCopy: false,
  flags: [],
  chown: false,
  options: {},
  labels: {},
};
const volume = (text: string) => parseVolume(text, "/cwd");
const mount = (text: string) => parseMount(text, "/cwd");

test("-v reads host paths", () => {
  assert.equal(volume("/s:/t"), bind);
  assert.equal(volume("/s/../s//:/t//x/.."), bind);
  assert.equal(volume("/s:/t:ro"), { ...bind, readOnly: true });
  assert.equal(volume("/s:/t:rw,z"), bind);
  assert.equal(volume("./a:/t"), { ...bind, source: "/cwd/a" });
  assert.equal(volume(".:/t"), { ...bind, source: "/cwd" });
  assert.equal(volume("../a:/t"), { ...bind, source: "/a" });
  assert.equal(volume("/s:/t:ro,rslave,bind,nosuid"), {
    ...bind,
    readOnly: true,
    propagation: "rslave",
    recursive: false,
    flags: ["nosuid"],
  });
  assert.equal(volume("/s:/t:O,U"), { ...bind, overlay: true, chown: true });
});

test("-v reads volumes", () => {
  assert.equal(volume("data:/t:nocopy"), { ...named, noCopy: true });
  assert.equal(volume("data:/t/:ro,U,noexec,Z"), { ...named, readOnly: true, chown: true, flags: ["noexec"] });
  const { name: _, ...anonymous } = named;
  assert.equal(volume("/t"), anonymous);
});

test("-v refuses what it cannot mean", () => {
  assert.throws(() => volume("/s:t"), /must be absolute/);
  assert.throws(() => volume("/s:/"), /root cannot be a mount point/);
  assert.throws(() => volume("/s:/t:what"), /unknown option "what"/);
  assert.throws(() => volume("/s:/t:ro:x"), /expected SOURCE:TARGET/);
  assert.throws(() => volume(":/t"), /expected SOURCE:TARGET/);
  assert.throws(() => volume(""), /expected SOURCE:TARGET/);
  assert.throws(() => volume("a/b:/t"), /not a volume name/);
  assert.throws(
    () => volume("~/b:/t"),
    (error: { hint?: string }) => /\$HOME\/b/.test(error.hint ?? ""),
  );
  assert.throws(() => volume("data:/t:O"), /unknown option "O"/);
  assert.throws(() => volume("data:/t:rslave"), /unknown option "rslave"/);
});

test("--mount reads every key and spelling", () => {
  assert.equal(mount("type=bind,source=/s,target=/t"), { ...bind, createSource: false });
  assert.equal(mount("type=bind,src=s,dst=/t,readonly"), {
    ...bind,
    source: "/cwd/s",
    readOnly: true,
    createSource: false,
  });
  assert.equal(mount("type=bind,src=/s,destination=/t,ro=false,bind-propagation=shared,bind-nonrecursive"), {
    ...bind,
    createSource: false,
    propagation: "shared",
    recursive: false,
  });
  assert.equal(mount("type=bind,src=/s,dst=/t,bind-recursive=disabled,bind-create-src"), { ...bind, recursive: false });
  assert.equal(mount("type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770"), {
    type: "tmpfs",
    target: "/t",
    readOnly: false,
    options: ["size=1048576", "mode=1770"],
    flags: [],
  });
  assert.equal(mount("source=data,target=/t,volume-nocopy"), { ...named, noCopy: true });
  assert.equal(mount("src=data,dst=/t,volume-opt=type=tmpfs,volume-opt=o=size=1m,volume-label=a,volume-subpath=x/y/"), {
    ...named,
    options: { type: "tmpfs", o: "size=1m" },
    labels: { a: "" },
    subpath: "x/y",
  });
  assert.equal(mount("type=image,src=alpine,dst=/t,subpath=etc"), {
    type: "image",
    image: "alpine",
    target: "/t",
    readOnly: true,
    subpath: "etc",
  });
  assert.equal(mount("type=image,src=alpine,dst=/t,rw=true"), {
    type: "image",
    image: "alpine",
    target: "/t",
    readOnly: false,
  });
  assert.equal(mount('type=bind,"src=/a,b",dst=/t'), { ...bind, source: "/a,b", createSource: false });
});

test("--mount refuses what it cannot mean", () => {
  assert.throws(() => mount("type=bind,target=/t"), /"source" is missing/);
  assert.throws(() => mount("type=bind,source=/s"), /"target" is missing/);
  assert.throws(() => mount("type=npipe,target=/t"), /unknown type "npipe"/);
  assert.throws(
    () => mount("type=bind,sorce=/s,target=/t"),
    (error: { hint?: string }) => /source/.test(error.hint ?? ""),
  );
  assert.throws(() => mount("type=bind,source,target=/t"), /"source" needs a value/);
  assert.throws(() => mount("type=bind,source=/s,target=/t,readonly=maybe"), /true or false/);
  assert.throws(() => mount("type=bind,source=/s,target=/t,tmpfs-size=1"), /does not go with type "bind"/);
  assert.throws(() => mount("type=tmpfs,source=/s,target=/t"), /has no "source"/);
  assert.throws(() => mount("type=bind,source=/s,target=/t,subpath=x"), /does not go with type "bind"/);
  assert.throws(() => mount("source=data,target=/t,subpath=../x"), /is no path below the source/);
  assert.is((mount("type=tmpfs,target=/t,tmpcopyup") as { copy?: boolean }).copy, true);
  assert.throws(() => mount("type=tmpfs,target=/t,tmpfs-mode=9"), /octal/);
  assert.throws(() => mount("type=bind,source=/s,target=/t,constructor=1"), /unknown key "constructor"/);
});

test("--tmpfs reads the options of the kernel", () => {
  assert.equal(parseTmpfs("/t"), { type: "tmpfs", target: "/t", readOnly: false, options: [], flags: [] });
  assert.equal(parseTmpfs("/t:rw,noexec,size=64m,mode=1777,ro"), {
    type: "tmpfs",
    target: "/t",
    readOnly: true,
    options: ["size=64m", "mode=1777"],
    flags: ["noexec"],
  });
  assert.throws(() => parseTmpfs("/t:color=red"), /unknown option "color=red"/);
  assert.throws(() => parseTmpfs("t"), /must be absolute/);
});

test("splitCsv() honours quotes", () => {
  assert.equal(splitCsv("a,b,,c"), ["a", "b", "", "c"]);
  assert.equal(splitCsv('"a,""b""",c'), ['a,"b"', "c"]);
  assert.equal(splitCsv("a,"), ["a", ""]);
  assert.throws(() => splitCsv('a"b"'), /quoted as a whole/);
});

test.run();
