/** cp: both ways, of containers that run and of those that do not. */
import { spawnSync } from "node:child_process";
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TSBOX, workspace } from "../support/tsbox.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

const cp = (...args: string[]) => box.run(["cp", ...args], { cwd: box.dir });
const at = (path: string) => join(box.dir, path);
/** What a container has, seen by another one that has its volumes, or by exec. */
const inside = async (container: string, script: string) =>
  (await box.tsbox("exec", container, "sh", "-c", script)).stdout;

test.before(async () => {
  mkdirSync(at("src/sub"), { recursive: true });
  writeFileSync(at("src/a"), "a\n");
  writeFileSync(at("src/sub/b"), "b\n");
  symlinkSync("a", at("src/link"));
  assert.is(
    (await box.tsbox("run", "-d", "--name", "up", "-v", "up:/vol", "--tmpfs", "/mem", "base", "sleep", "1000")).code,
    0,
  );
  assert.is((await box.tsbox("run", "--name", "down", "-v", "down:/vol", "base", "true")).code, 0);
});

for (const name of ["up", "down"]) {
  const tree = async (path: string) => {
    const { stdout } = await box.program("sh", ["-c", `"$0" cp ${name}:${path} - | tar -t | sort`, TSBOX]);
    return stdout.split("\n").filter(Boolean);
  };

  test(`${name}: a folder goes under its new name, or into a folder that is there`, async () => {
    assert.is((await cp("src", `${name}:/new`)).stderr, "");
    assert.equal(await tree("/new"), ["new/", "new/a", "new/link", "new/sub/", "new/sub/b"]);
    await cp("src", `${name}:/new`);
    assert.ok((await tree("/new")).includes("new/src/sub/b"));
    await cp("src/.", `${name}:/vol`);
    assert.equal(await tree("/vol/."), ["./", "a", "link", "sub/", "sub/b"]);
  });

  test(`${name}: a file goes under its new name, into a folder, or over a file`, async () => {
    await cp("src/a", `${name}:/vol/other`);
    await cp("src/a", `${name}:/vol/sub`);
    await cp("src/sub/b", `${name}:/vol/other`);
    assert.is((await cp(`${name}:/vol/other`, "got")).code, 0);
    assert.is(readFileSync(at("got"), "utf8"), "b\n");
    assert.ok((await tree("/vol")).includes("vol/sub/a"));
  });

  test(`${name}: what comes out is the caller's, links are links unless followed`, async () => {
    mkdirSync(at(`out-${name}`));
    assert.is((await cp(`${name}:/new`, `out-${name}`)).code, 0);
    assert.equal(readdirSync(at(`out-${name}/new`)).sort(), ["a", "link", "src", "sub"]);
    assert.is(statSync(at(`out-${name}/new/a`)).uid, process.getuid?.());
    assert.is(readlinkSync(at(`out-${name}/new/link`)), "a");
    await cp("-L", `${name}:/new/link`, `followed-${name}`);
    assert.ok(lstatSync(at(`followed-${name}`)).isFile());
    assert.is((await cp(`${name}:/new/.`, `fresh-${name}`)).code, 0);
    assert.ok(existsSync(at(`fresh-${name}/sub/b`)));
  });

  test(`${name}: an archive from standard input keeps its owners`, async () => {
    const tar = spawnSync("tar", ["-C", at("src"), "--owner=7", "--group=8", "--numeric-owner", "-c", "."]).stdout;
    assert.is((await box.run(["cp", "-", `${name}:/vol`], { input: tar })).code, 0);
    const { stdout } = await box.program("sh", ["-c", `"$0" cp ${name}:/vol - | tar -tv --numeric-owner`, TSBOX]);
    assert.match(stdout, / 7\/8 .* vol\/a$/m);
    const torn = await box.run(["cp", "-", `${name}:/vol`], { input: tar.subarray(0, 2000) });
    assert.is(torn.code, 1);
  });

  test(`${name}: what cannot be done is said`, async () => {
    const refused = async (pattern: RegExp, ...args: string[]) => {
      const { code, stderr } = await cp(...args);
      assert.is(code, 1, args.join(" "));
      assert.match(stderr, pattern);
    };
    await refused(/there is no such file on the host/, "nothing", `${name}:/x`);
    await refused(/"\/nothing": there is no such file in container/, `${name}:/nothing`, "x");
    await refused(/the directory of "\/no\/where" does not exist/, "src/a", `${name}:/no/where`);
    await refused(/the directory "\/none" does not exist/, "src/a", `${name}:/none/`);
    await refused(/"\/etc\/passwd" is a file, and it is a directory/, "src", `${name}:/etc/passwd`);
    await refused(/"\/etc\/passwd": it is not a directory/, `${name}:/etc/passwd/`, "x");
    await refused(/Cannot extract the archive in "\/nothing": it does not exist/, "-", `${name}:/nothing`);
    await refused(/neither of the two is a container's/, "src", "x");
  });

  test(`${name}: a folder and something else make way for each other with --overwrite only`, async () => {
    await cp("src/a", `${name}:/vol/kind`);
    mkdirSync(at(`kinds-${name}/kind`), { recursive: true });
    const refused = await cp(`kinds-${name}/.`, `${name}:/vol`);
    assert.is(refused.code, 1);
    assert.match(refused.stderr, /Cannot copy to "kind": something else than a directory is there/);
    assert.is((await cp("--overwrite", `kinds-${name}/.`, `${name}:/vol`)).code, 0);
    assert.ok((await tree("/vol")).includes("vol/kind/"));
    rmSync(at(`kinds-${name}/kind`), { recursive: true });
    writeFileSync(at(`kinds-${name}/kind`), "");
    assert.match((await cp(`kinds-${name}/.`, `${name}:/vol`)).stderr, /Cannot copy to "kind": a directory is there/);
  });

  test(`${name}: names that are no text, and files of other owners`, async () => {
    const make = "cd /vol; mkdir odd; echo x > odd/$(printf 'a\\377b'); chown 33:44 odd/*; chmod 4751 odd/*";
    await box.tsbox("run", "--rm", "-v", `${name}:/vol`, "base", "sh", "-c", make);
    const native = (await box.tsbox("unshare", "true")).stderr === "";
    assert.is((await cp(`${name}:/vol/odd`, `odd-${name}`)).code, 0);
    const [odd] = readdirSync(Buffer.from(at(`odd-${name}`)), "buffer");
    assert.equal(odd, Buffer.from("a\xffb", "latin1"));
    const path = Buffer.concat([Buffer.from(`${at(`odd-${name}`)}/`), odd as Buffer]);
    assert.is(lstatSync(path).uid, process.getuid?.());
    assert.is(lstatSync(path).mode & 0o7777, 0o751, "the caller does not get a program with set-uid");
    assert.is((await cp(`odd-${name}`, `${name}:/vol/back`)).code, 0);
    if (native) {
      await cp("-a", `${name}:/vol/odd`, `owned-${name}`);
      await cp("-a", `owned-${name}`, `${name}:/vol/owned`);
      const ls = await box.tsbox("run", "--rm", "-v", `${name}:/v`, "base", "sh", "-c", "ls -ln /v/owned /v/back");
      assert.match(ls.stdout, /-rwsr-x--x +1 33 +44/);
      assert.match(ls.stdout, /-rwxr-x--x +1 0 +0/);
    }
  });
}

/** docker's rules, case by case: what is there before, what is copied where, and what is there then or what is said. */
const RULES: [destination: string, source: string, expected: string[] | RegExp][] = [
  // a file
  ["file-new", "one", ["file-new=one"]],
  ["none/", "one", /the directory ".*none" does not exist/],
  ["no/parent", "one", /the directory of ".*no\/parent" does not exist/],
  ["file", "one", ["file=one"]],
  ["file/", "one", /".*file" is not a directory/],
  ["dir", "one", ["dir/kept=kept", "dir/one=one"]],
  ["dir/", "one", ["dir/kept=kept", "dir/one=one"]],
  ["dir/.", "one", ["dir/kept=kept", "dir/one=one"]],
  ["to-dir", "one", ["dir/kept=kept", "dir/one=one", "to-dir>dir"]],
  ["to-dir/", "one", ["dir/kept=kept", "dir/one=one", "to-dir>dir"]],
  ["to-file", "one", ["file=one", "to-file>file"]],
  ["dangling", "one", ["dangling>made", "made=one"]],
  ["one/", "one/", /it is not a directory/],
  // a directory
  ["tree-new", "tree", ["tree-new/in=in"]],
  ["tree-new/", "tree", ["tree-new/in=in"]],
  ["tree-new", "tree/.", ["tree-new/in=in"]],
  ["file", "tree", /".*file" is a file, and it is a directory/],
  ["to-file", "tree", /".*to-file" is a file, and it is a directory/],
  ["dir", "tree", ["dir/kept=kept", "dir/tree/in=in"]],
  ["dir", "tree/", ["dir/kept=kept", "dir/tree/in=in"]],
  ["dir", "tree/.", ["dir/in=in", "dir/kept=kept"]],
  ["to-dir", "tree/.", ["dir/in=in", "dir/kept=kept", "to-dir>dir"]],
  // a link
  ["copied", "link", ["copied>one"]],
  ["dir", "link", ["dir/kept=kept", "dir/link>one"]],
  ["copied", "tree-link", ["copied>tree"]],
  ["copied", "tree-link/", ["copied/in=in"]],
  ["copied", "tree-link/.", ["copied/in=in"]],
];

const BEFORE =
  "mkdir dir; echo kept > dir/kept; echo old > file; ln -s dir to-dir; ln -s file to-file; ln -s made dangling";
const SOURCES = "mkdir tree; echo in > tree/in; echo one > one; ln -s one link; ln -s tree tree-link";
/** Every file with its line, every link with its target. */
const LIST =
  'for f in $(find . -type f); do echo "$f=$(cat $f)"; done; for l in $(find . -type l); do echo "$l>$(readlink $l)"; done';

for (const name of ["up", "down"]) {
  for (const way of ["in", "out"]) {
    test(`${name}: docker's table of sources and destinations, ${way}`, async () => {
      const inVolume = (script: string) =>
        box.tsbox("run", "--rm", "-v", `${name}:/vol`, "base", "sh", "-c", `cd /vol; ${script}`);
      const onHost = (script: string) => box.program("sh", ["-c", `cd "$0"; ${script}`, box.dir]);
      const [there, from] = way === "in" ? [inVolume, onHost] : [onHost, inVolume];
      const place = (number: number) => `rules-${name}-${way}-${number}`;
      const eachPlace = (script: (where: string) => string) =>
        RULES.map((_, number) => script(place(number))).join("\n");
      await from(eachPlace((where) => `(mkdir ${where}-src; cd ${where}-src; ${SOURCES})`));
      await there(eachPlace((where) => `(mkdir ${where}; cd ${where}; ${BEFORE})`));
      const said: string[] = [];
      for (const [number, [destination, source, expected]] of RULES.entries()) {
        const paths = [`${place(number)}-src/${source}`, `${place(number)}/${destination}`];
        const inside = way === "in" ? 1 : 0;
        const words = paths.map((path, i) => (i === inside ? `${name}:/vol/${path}` : path));
        const { code, stderr } = await cp(...words);
        assert.is(code, expected instanceof RegExp ? 1 : 0, `${source} -> ${destination}: ${stderr}`);
        said.push(stderr);
      }
      const found = (await there(eachPlace((where) => `(cd ${where}; ${LIST})\necho --`))).stdout.split("--\n");
      for (const [number, [destination, source, expected]] of RULES.entries()) {
        const label = `${source} -> ${destination}`;
        if (expected instanceof RegExp) {
          assert.match(said[number] ?? "", expected, label);
          continue;
        }
        assert.is(said[number], "", label);
        const rest = ["dir/kept=kept", "file=old", "to-dir>dir", "to-file>file", "dangling>made"];
        const changed = new Set(expected.map((line) => line.split(/[=>]/)[0]));
        const all = new Set([...rest.filter((line) => !changed.has(line.split(/[=>]/)[0])), ...expected]);
        const lines = (found[number] ?? "").split("\n").filter(Boolean);
        assert.equal(lines.map((line) => line.replace(/^\.\//, "")).sort(), [...all].sort(), label);
      }
    });
  }
}

test("a link in the container that leads up and out leads to the container's own files", async () => {
  await box.tsbox(
    "run",
    "--rm",
    "-v",
    "up:/vol",
    "base",
    "sh",
    "-c",
    "ln -s ../../../../../../../../etc /vol/etc; ln -s /etc/hostname /vol/name",
  );
  await cp("src/a", "up:/vol/etc/from-outside");
  assert.is(await inside("up", "cat /etc/from-outside"), "a\n");
  assert.not.ok(existsSync("/etc/from-outside"));
  await cp("-L", "up:/vol/name", "its-name");
  assert.is(readFileSync(at("its-name"), "utf8"), await inside("up", "cat /etc/hostname"));
});

test("what is copied into the tmpfs of a container that does not run is told to be hidden", async () => {
  await box.tsbox("create", "--name", "memory", "--tmpfs", "/mem", "-v", "kept:/mem/vol", "base", "sleep", "600");
  assert.match((await cp("src/a", "memory:/mem/a")).stderr, /"\/mem" is a tmpfs, empty at each start/);
  assert.is((await cp("src/a", "memory:/mem/vol/a")).stderr, "");
  await box.tsbox("start", "memory");
  assert.is(await inside("memory", "ls /mem; cat /mem/vol/a"), "vol\na\n");
  assert.is((await cp("src/a", "memory:/mem/a")).stderr, "");
  assert.is(await inside("memory", "cat /mem/a"), "a\n");
  await box.tsbox("rm", "-f", "memory");
});

test("what is in memory of a running container is copied too", async () => {
  assert.is((await cp("src", "up:/mem")).code, 0);
  assert.is(await inside("up", "cat /mem/src/sub/b"), "b\n");
  await inside("up", "echo memory > /mem/file");
  await cp("up:/mem/file", "memory");
  assert.is(readFileSync(at("memory"), "utf8"), "memory\n");
});

test("the whole root, without what the kernel makes; a pipe is not waited for", async () => {
  await inside("up", "mkfifo /pipe");
  assert.is((await cp("up:/", "whole")).stderr, "");
  assert.equal(readdirSync(at("whole/proc")), []);
  assert.ok(existsSync(at("whole/vol/a")) && existsSync(at("whole/etc/passwd")));
  assert.ok(lstatSync(at("whole/pipe")).isFIFO());
  const { code, stderr } = await cp("up:/dev/null", "null");
  assert.is(code, 1);
  assert.match(stderr, /Cannot make the entry "null"/);
});

test("from one container to another", async () => {
  assert.is((await cp("up:/mem/src", "down:/from-up")).code, 0);
  assert.is((await cp("down:/from-up/a", "from-up")).code, 0);
  assert.is(readFileSync(at("from-up"), "utf8"), "a\n");
});

test("a root that is read-only stays so, its volumes do not", async () => {
  await box.tsbox("run", "--name", "ro", "--read-only", "-v", "rovol:/v", "base", "true");
  const { code, stderr } = await cp("src/a", "ro:/a");
  assert.is(code, 1);
  assert.match(stderr, /it is read-only in the container/);
  assert.is((await cp("src/a", "ro:/v/a")).code, 0);
});

test("a container of the host's root, and one of a folder", async () => {
  await box.tsbox("run", "--name", "hosted", "host", "sh", "-c", "echo made > /etc/made-by-tsbox");
  // on another driver such changes are in memory, and gone
  if ((process.env.TSBOX_STORAGE_DRIVER || "overlay") === "overlay") {
    assert.is((await cp("hosted:/etc/made-by-tsbox", "made")).stderr, "");
    assert.is(readFileSync(at("made"), "utf8"), "made\n");
  }
  assert.not.ok(existsSync("/etc/made-by-tsbox"));
  mkdirSync(at("root"));
  await box.tsbox("run", "--name", "folder", "--rootfs", at("root"), "nothing");
  assert.is((await cp("src/a", "folder:/a")).stderr, "");
  assert.is(readFileSync(at("root/a"), "utf8"), "a\n");
});

test("keep-id: what is copied in belongs to the caller there", async () => {
  const started = await box.tsbox(
    "run",
    "-d",
    "--name",
    "kept",
    "--userns",
    "keep-id",
    "-v",
    "keptvol:/v",
    "base",
    "sleep",
    "100",
  );
  assert.is(started.code, 0);
  assert.is((await cp("src/a", "kept:/v/a")).stderr, "");
  assert.is(await inside("kept", "stat -c %u /v/a; cat /v/a"), `${process.getuid?.()}\na\n`);
  assert.is((await cp("kept:/v/a", "kept-out")).code, 0);
  assert.is(statSync(at("kept-out")).uid, process.getuid?.());
});

test("files of the kernel, which say that they are empty, come out as they read", async () => {
  await box.tsbox("run", "-d", "--name", "speaks", "base", "sleep", "600");
  assert.is((await cp("speaks:/proc/version", "version")).stderr, "");
  assert.is(readFileSync(at("version"), "utf8"), readFileSync("/proc/version", "utf8"));
  assert.is((await cp("speaks:/sys/kernel/mm/transparent_hugepage/enabled", "page")).stderr, "");
  assert.ok(statSync(at("page")).size < 4096);
  await box.tsbox("rm", "-f", "speaks");
});

test("a volume goes to an archive and comes back", async () => {
  const fill = "cd /v; mkdir d; echo 1 > d/f; chmod 750 d; chmod 2775 .; ln -s d/f l";
  await box.tsbox("run", "--rm", "-v", "one:/v", "base", "sh", "-c", fill);
  assert.is((await box.run(["volume", "export", "one", "-o", "one.tar"], { cwd: box.dir })).code, 0);
  await box.tsbox("volume", "create", "two");
  assert.is((await box.run(["volume", "import", "two", "one.tar"], { cwd: box.dir })).stderr, "");
  const list = async (name: string) =>
    (
      await box.tsbox(
        "run",
        "--rm",
        "-v",
        `${name}:/v`,
        "base",
        "sh",
        "-c",
        "ls -la --full-time /v /v/d | grep -v '\\.\\.'",
      )
    ).stdout;
  assert.match(await list("one"), /d/);
  assert.is(await list("two"), await list("one"));
  assert.is((await box.tsbox("volume", "import", "nothing", at("one.tar"))).code, 1);
});

test.run();
