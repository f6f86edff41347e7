import { chmodSync, existsSync, lstatSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { leftovers, storeProblems } from "../support/store.ts";
import { buildWorkspace, count } from "./support/build.ts";

const onKernel = need("user-namespace", test);
const FILES =
  "FROM base AS b\nRUN mkdir /o && echo x > /o/f && chown 9:9 /o/f && ln -s f /o/l\nFROM scratch\nCOPY --from=b /o /\n";

onKernel("files of a stage go to a folder or a tar, and no image is left", async () => {
  await using box = buildWorkspace();
  const out = join(box.dir, "out");
  const { code, stderr } = await box.run(["build", "-o", out, "-f", "-", box.context], { input: FILES });
  assert.is(code, 0, stderr);
  assert.is(readFileSync(join(out, "f"), "utf8"), "x\n");
  assert.is(lstatSync(join(out, "f")).uid, process.getuid?.());
  assert.ok(lstatSync(join(out, "l")).isSymbolicLink());
  const tar = join(box.dir, "o.tar");
  await box.run(["build", "-o", `type=tar,dest=${tar}`, "-f", "-", box.context], { input: FILES });
  const listed = await box.program("tar", ["-tvf", tar]);
  assert.match(listed.stdout, /9\/9 .* f\n/);
  const images = await box.tsbox("images", "--format", "{{.Repository}}");
  assert.is(images.stdout, "base\n");
});

onKernel("archives that others load", async () => {
  await using box = buildWorkspace();
  for (const type of ["oci", "docker"]) {
    const path = join(box.dir, `${type}.tar`);
    const { code, stderr } = await box.run(
      ["build", "-t", "a:1", "-o", `type=${type},dest=${path}`, "-f", "-", box.context],
      {
        input: FILES,
      },
    );
    assert.is(code, 0, stderr);
    const loaded = await box.tsbox("load", "-i", path);
    assert.match(loaded.stdout, /a:1/);
  }
});

onKernel("several names, a label, an id and metadata in files, quiet", async () => {
  await using box = buildWorkspace();
  const [iid, metadata] = [join(box.dir, "iid"), join(box.dir, "meta.json")];
  const result = await box.build("FROM base\nENV A=1\n", [
    "-q",
    "-t",
    "two:2",
    "--label",
    "l=1",
    "--iidfile",
    iid,
    "--metadata-file",
    metadata,
  ]);
  assert.is(result.stderr, "");
  assert.is(readFileSync(iid, "utf8"), result.stdout.trim());
  assert.is(JSON.parse(readFileSync(metadata, "utf8"))["containerimage.config.digest"], result.stdout.trim());
  assert.equal((await box.inspect()).config.Labels?.l, "1");
  assert.is((await box.tsbox("run", "--rm", "two:2", "sh", "-c", "echo $A")).stdout, "1\n");
});

onKernel("--squash leaves one layer on the base, with the same files", async () => {
  await using box = buildWorkspace();
  const text =
    "FROM base\nRUN mkdir /d && echo a > /d/a && echo b > /d/b\nRUN rm /d/a && echo c > /d/c\nRUN rm -r /d && mkdir /d && echo e > /d/e && rm -r /root\n";
  await box.build(text);
  const plain = await box.inspect();
  const { code, stderr } = await box.build(text, ["--squash"]);
  assert.is(code, 0, stderr);
  const squashed = await box.inspect();
  assert.is(squashed.layers.length, plain.layers.length - 2);
  assert.is(squashed.history.filter((entry) => !entry.empty_layer).length, squashed.layers.length);
  assert.is(await box.inside("sh", "-c", "ls /d; ls -d /root"), "1: e\nls: /root: No such file or directory\n");
});

onKernel("with --source-date-epoch two stores make the same image", async () => {
  const ids: string[] = [];
  for (let n = 0; n < 2; n++) {
    await using box = buildWorkspace();
    box.files({ a: "a" });
    const result = await box.build("FROM base\nWORKDIR /w\nCOPY a /x/a\nRUN echo $RANDOM > /dev/null; echo r > /r\n", [
      "--source-date-epoch",
      "1700000000",
    ]);
    ids.push(result.stdout);
  }
  assert.is(ids[0], ids[1]);
});

onKernel("progress as JSON lines", async () => {
  await using box = buildWorkspace();
  const { stderr } = await box.build("FROM base\nRUN echo hi\n", ["--progress", "json"]);
  const events = stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(
    events.map((event) => event.type),
    ["step", "output", "done"],
  );
});

onKernel("named contexts hide images, and give files", async () => {
  await using box = buildWorkspace();
  box.files({ "other/f": "other" });
  const { code, stderr } = await box.build("FROM alpine\nCOPY --from=more f /f\n", [
    "--build-context",
    "alpine=docker-image://base",
    "--build-context",
    `more=${join(box.context, "other")}`,
  ]);
  assert.is(code, 0, stderr);
  assert.is(await box.inside("cat", "/f"), "other");
});

onKernel("FROM and --from take an image of an OCI layout", async () => {
  await using box = buildWorkspace();
  await box.build("FROM base\nENV FROM_LAYOUT=1\nRUN echo one > /one\n", ["-t", "one:first"]);
  await box.build("FROM base\nRUN echo two > /two\n", ["-t", "two:second"]);
  const single = join(box.dir, "single");
  assert.is((await box.tsbox("save", "--format", "oci-dir", "-o", single, "one:first")).code, 0);
  const both = join(box.dir, "both");
  assert.is((await box.tsbox("save", "--format", "oci-dir", "-o", both, "one:first", "two:second")).code, 0);
  const { manifests } = JSON.parse(readFileSync(join(both, "index.json"), "utf8")) as {
    manifests: { digest: string }[];
  };
  const text =
    "FROM mine\nCOPY --from=other /two /copied\nRUN --mount=type=bind,from=other,target=/m cat /m/two > /bound\n";
  for (const other of [`${both}:second`, `${both}@${manifests[1]?.digest}`, `${both}:x@${manifests[1]?.digest}`]) {
    await using there = buildWorkspace();
    const contexts = [`mine=oci-layout://${single}`, `other=oci-layout://${other}`];
    const args = contexts.flatMap((context) => ["--build-context", context]);
    const made = await there.build(text, args);
    assert.is(made.code, 0, made.stderr);
    assert.is(await there.inside("sh", "-c", "cat /one /copied /bound; echo $FROM_LAYOUT"), "one\ntwo\ntwo\n1\n");
    assert.is(count((await there.build(text, args)).stderr, "CACHED"), 2);
    // the image is whole without the layout
    const kept = join(there.dir, "kept.tar");
    assert.is((await there.tsbox("save", "-o", kept, "img")).code, 0);
    assert.equal(storeProblems(there.env.TSBOX_ROOT as string), []);
  }
});

onKernel("a layout that is damaged, ambiguous or not there is told", async () => {
  await using box = buildWorkspace();
  await box.build("FROM base\nRUN echo one > /one\n", ["-t", "one:first"]);
  const folder = join(box.dir, "both");
  await box.tsbox("save", "--format", "oci-dir", "-o", folder, "one:first", "base");
  const run = (place: string, text = "FROM mine\n") => box.build(text, ["--build-context", `mine=${place}`]);
  const layout = `oci-layout://${folder}`;
  assert.match((await run("oci-layout:///nowhere")).stderr, /Cannot use OCI layout "\/nowhere": no such folder/);
  assert.match((await run(`oci-layout://${box.context}`)).stderr, /it has no index.json/);
  assert.match((await run(`${layout}:third`)).stderr, /it has no image "third"[\s\S]*it has first, latest/);
  assert.match((await run(`${layout}@sha256:${"0".repeat(64)}`)).stderr, /it has no sha256:000/);
  // a Dockerfile cannot name a folder of the host by itself
  assert.match((await box.build(`FROM ${layout}:first\n`)).stderr, /Cannot use image reference/);
  const [large] = readdirSync(join(folder, "blobs/sha256"))
    .map((name) => join(folder, "blobs/sha256", name))
    .sort((a, b) => statSync(b).size - statSync(a).size) as [string];
  const bytes = readFileSync(large);
  bytes[bytes.length - 9] = (bytes[bytes.length - 9] as number) ^ 1;
  chmodSync(large, 0o600);
  writeFileSync(large, bytes);
  await using there = buildWorkspace();
  const { code, stderr } = await there.build("FROM mine\n", ["--build-context", `mine=${layout}:first`]);
  assert.is(code, 1);
  assert.match(stderr, /Cannot keep blob: got sha256:/);
  assert.equal(leftovers(there.env.TSBOX_ROOT as string), []);
});

onKernel("a context that is an address of a tar", async () => {
  await using box = buildWorkspace();
  box.files({ "d/f": "from afar" });
  const tar = join(box.dir, "d.tgz");
  await box.program("tar", ["-C", join(box.context, "d"), "-czf", tar, "."]);
  const server = createServer((_, answer) => answer.end(readFileSync(tar)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/d.tgz`;
    const { code, stderr } = await box.build("FROM base\nCOPY --from=far f /f\n", [
      "--build-context",
      `far=${address}`,
    ]);
    assert.is(code, 0, stderr);
    assert.is(await box.inside("cat", "/f"), "from afar");
  } finally {
    server.close();
  }
  const nowhere = await box.build("FROM base\nCOPY --from=far f /f\n", ["--build-context", "far=nowhere"]);
  assert.match(nowhere.stderr, /Dockerfile:2[\s\S]*there is no such folder/);
});

need(["user-namespace", "git"], test)("a git repository as context, and for ADD", async () => {
  await using box = buildWorkspace();
  box.files({ "repo/Dockerfile": "FROM base\nCOPY sub/f /f\n", "repo/sub/f": "in git" });
  const repo = join(box.context, "repo");
  const git = (...words: string[]) =>
    box.program("git", ["-C", repo, "-c", "user.name=a", "-c", "user.email=a@b", ...words]);
  await git("init", "-q", "-b", "main");
  await git("add", ".");
  await git("commit", "-qm", "one");
  await box.program("git", ["clone", "-q", "--bare", repo, join(box.dir, "r.git")]);
  const url = `file://${join(box.dir, "r.git")}`;
  const { code, stderr } = await box.tsbox("build", "-t", "img", `${url}#main`);
  assert.is(code, 0, stderr);
  assert.is(await box.inside("cat", "/f"), "in git");
  const added = await box.build(`FROM base\nADD ${url}#main /r\n`);
  assert.is(added.code, 0, added.stderr);
  assert.is(await box.inside("sh", "-c", "cat /r/sub/f; ls -a /r | grep -c git"), "1: in git0\n");
  assert.not(existsSync(join(box.context, ".git")));
});

need(["user-namespace", "git"], test)("references, folders and submodules of git repositories", async () => {
  await using box = buildWorkspace();
  const script = `
cd '${box.dir}'
git config --global user.name a; git config --global user.email a@b
git config --global protocol.file.allow always
git init -q -b main lib && echo lib > lib/l && git -C lib add . && git -C lib commit -qm one && git clone -q --bare lib lib.git
git init -q -b main r && cd r && mkdir sub && printf 'FROM base\nCOPY f /f\n' | tee Dockerfile > sub/Dockerfile
echo top > f; echo sub > sub/f; git add . && git commit -qm one && git tag v1 && git rev-parse HEAD
git checkout -q -b feature/x && echo branch > f && git commit -qam two && git checkout -q main
git submodule --quiet add ../lib.git mod && echo 'RUN cat /all/mod/l > /f && ! find /all -name .git | grep .' | cat - > x
printf 'FROM base\nCOPY . /all\n' | cat - x > Dockerfile && rm x && git add . && git commit -qm three
cd .. && git clone -q --bare r r.git`;
  const made = await box.program("sh", ["-ec", script]);
  assert.is(made.code, 0, made.stderr);
  const url = `file://${join(box.dir, "r.git")}`;
  for (const [fragment, expected] of [
    ["", "lib\n"],
    ["#v1", "top\n"],
    ["#v1:sub", "sub\n"],
    ["#:sub", "sub\n"],
    ["#feature/x", "branch\n"],
    [`#${made.stdout.trim()}`, "top\n"],
  ]) {
    const { code, stderr } = await box.tsbox("build", "-t", "img", `${url}${fragment}`);
    assert.is(code, 0, `${fragment}: ${stderr}`);
    assert.is(await box.inside("cat", "/f"), expected, fragment);
  }
  const added = await box.build(`FROM base\nADD ${url}#v1:sub /added\nRUN cp /added/f /f\n`);
  assert.is(added.code, 0, added.stderr);
  assert.is(await box.inside("cat", "/f"), "sub\n");
  const given = await box.run(["build", "-t", "img", "-f", "-", `${url}#v1:sub`], {
    input: "FROM base\nCOPY f /given\n",
  });
  assert.is(given.code, 0, given.stderr);
  assert.is(await box.inside("cat", "/given"), "sub\n");
  assert.match((await box.tsbox("build", `${url}#nope`)).stderr, /Cannot fetch .*: fatal: .*nope/);
  assert.match((await box.tsbox("build", `${url}#v1:nope`)).stderr, /it has no folder "nope"/);
});

onKernel("ADD takes archives apart, COPY does not", async () => {
  await using box = buildWorkspace();
  box.files({ "t/d/f": "in the archive" });
  await box.program("tar", ["-C", join(box.context, "t"), "-czf", join(box.context, "a.tgz"), "d"]);
  const { code, stderr } = await box.build("FROM base\nADD a.tgz /x\nCOPY a.tgz /y.tgz\nADD --chown=3:4 a.tgz /z/\n");
  assert.is(code, 0, stderr);
  assert.is(
    await box.inside("sh", "-c", "cat /x/d/f; stat -c ' %F' /y.tgz; stat -c %u:%g /z/d/f"),
    "in the archive regular file\n3:4\n",
  );
});

onKernel("the cache outlives its image, is counted by system df, and goes with builder prune", async () => {
  await using box = buildWorkspace();
  const text = "FROM base\nRUN --mount=type=cache,target=/c echo x > /c/x; echo y > /y\n";
  await box.build(text);
  assert.is((await box.tsbox("rmi", "img")).code, 0);
  assert.match((await box.tsbox("system", "df")).stdout, /Build Cache +[1-9]/);
  assert.match((await box.build(text)).stderr, /CACHED/);
  await box.tsbox("builder", "prune", "-f");
  assert.match((await box.build(text)).stderr, /CACHED/, "what an image has is kept");
  await box.tsbox("rmi", "img");
  assert.match((await box.tsbox("builder", "prune", "-af")).stdout, /Deleted build cache objects/);
  assert.match((await box.tsbox("system", "df")).stdout, /Build Cache +0 /);
  assert.not.match((await box.build(text)).stderr, /CACHED/);
});

test.run();
