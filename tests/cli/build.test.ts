import { chmodSync, rmSync, symlinkSync, utimesSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { leftovers, storeProblems } from "../support/store.ts";
import { buildWorkspace, count } from "./support/build.ts";

const onKernel = need("user-namespace", test);

onKernel("every instruction does its part", async () => {
  await using box = buildWorkspace();
  box.files({ "a.txt": "from the context\n", "etc/one": "1", "etc/two": "2" });
  const { code, stderr } = await box.build(
    [
      "FROM base",
      "MAINTAINER somebody",
      "ARG WORD=word",
      'ENV A=1 B="$WORD two"',
      "LABEL k=$A",
      "WORKDIR /app",
      "WORKDIR sub",
      "COPY a.txt /app/",
      "ADD etc ./etc/",
      "RUN echo $WORD $A $B > ran && pwd >> ran",
      "EXPOSE 80",
      "VOLUME /data",
      "USER 1000:1000",
      "STOPSIGNAL SIGINT",
      "HEALTHCHECK --interval=5s CMD true",
      'SHELL ["/bin/sh", "-ec"]',
      "ONBUILD RUN echo later",
      'ENTRYPOINT ["/bin/sh", "-c"]',
      'CMD ["cat /app/a.txt ran etc/two; id -u"]',
    ].join("\n"),
  );
  assert.is(code, 0, stderr);
  const run = await box.tsbox("run", "--rm", "img");
  assert.is(run.stdout, "from the context\nword 1 word two\n/app/sub\n21000\n", run.stderr);
  const { config, history, layers } = await box.inspect();
  assert.equal(config.Env?.slice(-2), ["A=1", "B=word two"]);
  assert.is(config.WorkingDir, "/app/sub");
  assert.is(config.User, "1000:1000");
  assert.is(config.Labels?.k, "1");
  assert.equal(config.ExposedPorts, { "80/tcp": {} });
  assert.equal(config.Volumes, { "/data": {} });
  assert.is(config.StopSignal, "SIGINT");
  assert.equal(config.Healthcheck, { Test: ["CMD-SHELL", "true"], Interval: 5e9 });
  assert.equal(config.Shell, ["/bin/sh", "-ec"]);
  assert.equal(config.OnBuild, ["RUN echo later"]);
  assert.is(history.filter((entry) => !entry.empty_layer).length, layers.length);
  const steps = history.map((entry) => entry.created_by);
  assert.ok(
    steps.includes("RUN |1 WORD=word /bin/sh -c echo $WORD $A $B > ran && pwd >> ran # buildkit"),
    steps.join("\n"),
  );
  assert.ok(steps.includes("COPY a.txt /app/ # buildkit"));
  assert.equal(storeProblems(join(box.dir, "store")), []);
  assert.equal(leftovers(join(box.dir, "store")), []);
});

onKernel("a second build is all from the cache, and the same image", async () => {
  await using box = buildWorkspace();
  box.files({ x: "x" });
  const text = "FROM base\nENV A=1\nCOPY x /\nRUN date > /d\nCMD true\n";
  const first = await box.build(text);
  const second = await box.build(text);
  assert.is(second.stdout, first.stdout);
  assert.is(count(first.stderr, "CACHED"), 0);
  assert.is(count(second.stderr, "CACHED"), 4, second.stderr);
});

onKernel("a touched file is a hit, a changed byte, mode or name a miss", async () => {
  await using box = buildWorkspace();
  box.files({ "d/x": "one", "d/y": "y" });
  const text = "FROM base\nCOPY d /d\nRUN cat /d/* > /all\n";
  await box.build(text);
  utimesSync(join(box.context, "d/x"), 1, 1);
  assert.is(count((await box.build(text)).stderr, "CACHED"), 2, "touched");
  box.files({ "d/x": "two" });
  assert.is(count((await box.build(text)).stderr, "CACHED"), 0, "a changed byte");
  assert.is(await box.inside("cat", "/all"), "twoy");
  chmodSync(join(box.context, "d/x"), 0o755);
  assert.is(count((await box.build(text)).stderr, "CACHED"), 0, "a changed mode");
  rmSync(join(box.context, "d/y"));
  assert.is(count((await box.build(text)).stderr, "CACHED"), 0, "a file that went");
  box.files({ "d/x": "one", "d/y": "y" });
  chmodSync(join(box.context, "d/x"), 0o644);
  assert.is(count((await box.build(text)).stderr, "CACHED"), 2, "as it was at first");
});

onKernel("a file that is changed again at once is never taken for the old one", async () => {
  await using box = buildWorkspace();
  const text = "FROM base\nCOPY x /x\n";
  for (const content of ["aa", "bb", "cc", "dd"]) {
    box.files({ x: content });
    await box.build(text);
    assert.is(await box.inside("cat", "/x"), content);
  }
});

onKernel("--explain says why each step ran", async () => {
  await using box = buildWorkspace();
  box.files({ "d/x": "one", "d/y": "y" });
  const text = "FROM base\nARG V=1\nCOPY d /d\nRUN true $V > /f\n";
  assert.match((await box.build(text, ["--explain"])).stderr, /why: there was no such step in the last build/);
  assert.match((await box.build(text, ["--explain"])).stderr, /why: in the cache/);
  box.files({ "d/x": "two", "d/z": "z" });
  const changed = await box.build(text, ["--explain"]);
  assert.match(changed.stderr, /why: "d\/x" changed, "d\/z" came/);
  assert.match(changed.stderr, /why: the step before made something else/);
  assert.match(
    (await box.build(text, ["--explain", "--build-arg", "V=2"])).stderr,
    /its arguments was "V=1", is "V=2"/,
  );
  assert.match((await box.build(text, ["--explain", "--no-cache"])).stderr, /as --no-cache says/);
});

onKernel("stages: copied from by name and number, built side by side, left out when not needed", async () => {
  await using box = buildWorkspace();
  const text = [
    "FROM base AS builder",
    "RUN mkdir /out && echo built > /out/app && chmod 750 /out && chown 5:6 /out/app",
    "FROM base AS unused",
    "RUN exit 1",
    "FROM builder AS more",
    "RUN echo more > /out/more",
    "FROM scratch AS files",
    "COPY --from=0 /out /",
    "FROM base",
    "COPY --from=builder /out/app /bin/app",
    "COPY --from=2 /out/ /all/",
    "COPY --from=files / /files/",
  ].join("\n");
  const { code, stderr } = await box.build(text);
  assert.is(code, 0, stderr);
  assert.not.match(stderr, /exit 1/);
  assert.is(await box.inside("cat", "/bin/app", "/all/app", "/all/more", "/files/app"), "built\nbuilt\nmore\nbuilt\n");
  assert.is(await box.inside("stat", "-c", "%u:%g %a", "/bin/app", "/all"), "5:6 644\n0:0 755\n");
  assert.is(count((await box.build(text)).stderr, "CACHED"), 6);
  const target = await box.build(text, ["--target", "files"]);
  assert.is(target.code, 0, target.stderr);
  assert.equal((await box.inspect()).layers.length, 1);
});

onKernel("a failed build keeps the steps that ended", async () => {
  await using box = buildWorkspace();
  assert.is((await box.build("FROM base\nRUN echo one > /one\nRUN exit 3\n")).code, 1);
  const again = await box.build("FROM base\nRUN echo one > /one\nRUN true > /two\n");
  assert.is(count(again.stderr, "CACHED"), 1);
  assert.equal(leftovers(join(box.dir, "store")), []);
});

onKernel("COPY follows Docker's rules for destinations", async () => {
  await using box = buildWorkspace();
  box.files({ a: "a", b: "b", "d/x": "x", "d/e/y": "y", "g1.txt": "1", "g2.txt": "2", "g3.md": "3" });
  symlinkSync("a", join(box.context, "link"));
  symlinkSync("x", join(box.context, "d/inner"));
  const { code, stderr } = await box.build(
    [
      "FROM base",
      "RUN mkdir -p /there /real && ln -s /real /way",
      "COPY a /new/name",
      "COPY a /new2/dir/",
      "COPY a b /both/",
      "COPY d /copied",
      "COPY d /there",
      "COPY a /there",
      "COPY g?.txt /globs/",
      "COPY link /followed",
      "COPY a /way/a",
      "COPY --chown=7:8 --chmod=0600 a /owned",
      "COPY --exclude=e --exclude=*.md d /left/",
      "COPY --parents d/e/y ./d/./x /parents/",
      'COPY ["a", "/with space"]',
      "WORKDIR /w",
      "COPY b .",
      "COPY b rel/",
    ].join("\n"),
  );
  assert.is(code, 0, stderr);
  const cat = (...paths: string[]) => box.inside("cat", ...paths);
  assert.is(await cat("/new/name", "/new2/dir/a", "/both/a", "/both/b"), "aaab");
  assert.is(await cat("/copied/x", "/copied/e/y", "/there/x", "/there/a", "/copied/inner"), "xyxax");
  assert.is(await box.inside("ls", "/globs"), "g1.txt\ng2.txt\n");
  assert.is(
    await box.inside("sh", "-c", "stat -c %F /followed; readlink /copied/inner; cat /real/a"),
    "regular file\nx\na",
  );
  assert.is(await box.inside("stat", "-c", "%u:%g %a", "/owned"), "7:8 600\n");
  assert.is(await box.inside("ls", "/left"), "inner\nx\n");
  assert.is(await box.inside("sh", "-c", "cd /parents && find . -type f | sort"), "./d/e/y\n./x\n");
  assert.is(await cat("/with space", "/w/b", "/w/rel/b"), "abb");
});

onKernel("heredocs: commands, scripts of their own, files with and without variables", async () => {
  await using box = buildWorkspace();
  const { code, stderr } = await box.build(
    [
      "FROM base",
      "ARG WHO=you",
      "RUN <<EOF",
      "set -e",
      "echo one > /f",
      "echo two >> /f",
      "EOF",
      "RUN cat <<A > /g && cat <<'B' >> /g",
      "hello $WHO",
      "A",
      "$WHO",
      "B",
      "RUN <<EOF",
      "#!/bin/cat",
      "script",
      "EOF",
      "COPY <<EOF /h",
      "dear $WHO",
      "EOF",
      "COPY <<'one' <<-two /files/",
      "$WHO",
      "one",
      "\t\tindented",
      "\ttwo",
    ].join("\n"),
  );
  assert.is(code, 0, stderr);
  assert.is(
    await box.inside("cat", "/f", "/g", "/h", "/files/one", "/files/two"),
    "one\ntwo\nhello you\n$WHO\ndear you\n$WHO\nindented\n",
  );
  assert.match(stderr, /script/);
});

onKernel(".dockerignore, its exceptions, and a Dockerfile's own", async () => {
  await using box = buildWorkspace();
  box.files({ a: "a", "x.log": "", "logs/keep.log": "k", "logs/y.log": "", "node_modules/m": "", secret: "s" });
  box.files({ ".dockerignore": "**/*.log\n!logs/keep.log\nnode_modules\nsecret\nDockerfile*\n.dockerignore\n" });
  const text = "FROM base\nCOPY . /ctx\n";
  assert.is((await box.build(text)).code, 0);
  assert.is(await box.inside("sh", "-c", "cd /ctx && find . -type f | sort"), "./a\n./logs/keep.log\n");
  const gone = await box.build("FROM base\nCOPY secret /\n");
  assert.is(gone.code, 1);
  assert.match(gone.stderr, /Dockerfile:2:6: "secret" is not in the context/);
  box.files({ "other.dockerfile": text, "other.dockerfile.dockerignore": "*\n!a\n" });
  assert.is((await box.build(undefined, ["-f", join(box.context, "other.dockerfile")])).code, 0);
  assert.is(await box.inside("sh", "-c", "cd /ctx && find . -type f"), "./a\n");
});

onKernel("ARG: scopes, build arguments, predefined ones, platforms", async () => {
  await using box = buildWorkspace();
  const text = [
    "ARG GLOBAL=g",
    "ARG UNUSED=u",
    "FROM base",
    "ARG GLOBAL",
    "ARG TARGETARCH",
    "ARG OWN=${GLOBAL}-own",
    "ENV FROMENV=$OWN",
    'RUN echo "$GLOBAL $UNUSED $OWN $TARGETARCH $HTTP_PROXY" > /f',
  ].join("\n");
  const arch = process.arch === "x64" ? "amd64" : process.arch;
  const first = await box.build(text, ["--build-arg", "HTTP_PROXY=http://p", "--build-arg", "NOBODY=1"]);
  assert.is(first.code, 0, first.stderr);
  assert.match(first.stderr, /no ARG names the build argument NOBODY/);
  assert.is(await box.inside("cat", "/f"), `g  g-own ${arch} http://p\n`);
  await box.build(text, ["--build-arg", "GLOBAL=other"]);
  assert.is(await box.inside("cat", "/f"), `other  other-own ${arch} \n`);
  const { history, config } = await box.inspect();
  assert.not.match(JSON.stringify(history), /http:\/\/p/);
  assert.ok(config.Env?.includes("FROMENV=other-own"));
});

onKernel("ONBUILD runs in the image that is built on it, once", async () => {
  await using box = buildWorkspace();
  box.files({ f: "f" });
  await box.build("FROM base\nONBUILD COPY f /f\nONBUILD RUN echo x >> /f\n");
  await box.tsbox("tag", "img", "parent");
  assert.is((await box.build("FROM parent\nRUN echo y >> /f\n")).code, 0);
  assert.is(await box.inside("cat", "/f"), "fx\ny\n");
  assert.is((await box.inspect()).config.OnBuild, undefined);
});

onKernel("what a step removes is gone, and what it replaces replaced", async () => {
  await using box = buildWorkspace();
  const { code, stderr } = await box.build(
    "FROM base\nRUN mkdir /d && echo 1 > /d/a && echo 2 > /d/b\nRUN rm /d/a && rm -r /media 2>/dev/null; mv /d/b /d/c\nRUN rm -r /d && mkdir /d && echo 3 > /d/z\n",
  );
  assert.is(code, 0, stderr);
  assert.is(await box.inside("sh", "-c", "ls /d; cat /d/z"), "z\n3\n");
});

onKernel("the Dockerfile and the context from standard input, and from elsewhere", async () => {
  await using box = buildWorkspace();
  box.files({ a: "a", "sub/Dockerfile": "FROM base\nCOPY a /a\n" });
  const text = "FROM base\nRUN echo hi > /hi\n";
  assert.is((await box.run(["build", "-t", "img", "-"], { input: text })).code, 0);
  assert.is(await box.inside("cat", "/hi"), "hi\n");
  const second = await box.run(["build", "-t", "img", "-f", "-", box.context], { input: "FROM base\nCOPY a /b\n" });
  assert.is(second.code, 0, second.stderr);
  assert.is(await box.inside("cat", "/b"), "a");
  const tar = await box.program("tar", ["-C", box.context, "-cf", join(box.dir, "c.tar"), "."]);
  assert.is(tar.code, 0);
  const { readFileSync } = await import("node:fs");
  const third = await box.run(["build", "-t", "img", "-f", "sub/Dockerfile", "-"], {
    input: readFileSync(join(box.dir, "c.tar")),
    cwd: box.dir,
  });
  assert.is(third.code, 0, third.stderr);
  assert.is(await box.inside("cat", "/a"), "a");
});

test.run();
