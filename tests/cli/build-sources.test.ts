import { spawn } from "node:child_process";
import { existsSync, linkSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { until } from "../support/until.ts";
import { buildWorkspace, count } from "./support/build.ts";

const onKernel = need("user-namespace", test);

/** Files by path, by HTTP, for as long as the test runs. */
async function serve(files: Record<string, Buffer | string>) {
  const server = createServer((request, response) => {
    const found = files[request.url ?? ""];
    response.statusCode = found === undefined ? 404 : 200;
    response.end(found ?? "not here");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

onKernel("files of one inode stay hard links, and several names of a file elsewhere are files", async () => {
  await using box = buildWorkspace();
  box.files({ "d/one": "x", "d/sub/": "" });
  linkSync(join(box.context, "d/one"), join(box.context, "d/sub/two"));
  const { code, stderr } = await box.build("FROM base AS a\nCOPY d /d\nCOPY d/sub /alone\nCOPY --chown=5 d /e/\n");
  assert.is(code, 0, stderr);
  assert.is(
    await box.inside("stat", "-c", "%h %u", "/d/one", "/d/sub/two", "/alone/two", "/e/one"),
    "2 0\n2 0\n1 0\n2 5\n",
  );
});

onKernel("a stage is named by its number in FROM, too", async () => {
  await using box = buildWorkspace();
  const { code, stderr } = await box.build("FROM base\nRUN echo first > /x\nFROM 0\nRUN echo second >> /x\n");
  assert.is(code, 0, stderr);
  assert.is(await box.inside("cat", "/x"), "first\nsecond\n");
});

onKernel("--chmod takes chmod's words", async () => {
  await using box = buildWorkspace();
  box.files({ "d/f": "x" });
  const { code, stderr } = await box.build(
    "FROM base\nCOPY --chmod=u=rwX,go= d /d\nCOPY --chmod=a+x,o-r d/f /f\nCOPY --chmod=u+s d/f /s\n",
  );
  assert.is(code, 0, stderr);
  assert.is(await box.inside("stat", "-c", "%a", "/d", "/d/f", "/f", "/s"), "700\n600\n751\n4644\n");
  assert.match((await box.build("FROM base\nCOPY --chmod=u~x d /d\n")).stderr, /"u~x" is not a mode/);
});

onKernel("a file that changes and comes back is known each time", async () => {
  await using box = buildWorkspace();
  const text = "FROM base\nCOPY d /d\n";
  for (const content of ["one", "two", "one"]) {
    box.files({ "d/f": content, "d/g": "same" });
    const { code, stderr } = await box.build(text, ["--explain"]);
    assert.is(code, 0, stderr);
    assert.is(await box.inside("cat", "/d/f"), content);
    if (content === "two") assert.match(stderr, /why: "d\/f" changed/);
  }
  assert.is(count((await box.build(text)).stderr, "CACHED"), 1);
});

onKernel("ADD fetches a file, once its checksum is right", async () => {
  await using box = buildWorkspace();
  await using server = await serve({ "/dir/a%20file.txt?x=1": "fetched", "/": "root" });
  const { address } = server;
  const sum = `sha256:${"0".repeat(64)}`;
  const url = `${address}/dir/a%20file.txt?x=1`;
  const wrong = await box.build(`FROM base\nADD --checksum=${sum} ${url} /f\n`);
  assert.is(wrong.code, 1);
  const right = /what was fetched has (sha256:[0-9a-f]{64})/.exec(wrong.stderr)?.[1];
  assert.ok(right, wrong.stderr);
  const { code, stderr } = await box.build(`FROM base\nADD --checksum=${right} ${url} /dir/\nADD ${url} /g\n`);
  assert.is(code, 0, stderr);
  assert.is(await box.inside("sh", "-c", "cat '/dir/a file.txt' /g; stat -c ' %a' /g"), "fetchedfetched 600\n");
  assert.match((await box.build(`FROM base\nADD ${address}/gone /g\n`)).stderr, /Dockerfile:2:\d+.*404/s);
  assert.match((await box.build(`FROM base\nADD ${address}/ /g\n`)).stderr, /names no file/);
});

onKernel("the context is fetched: an archive, or a Dockerfile", async () => {
  await using box = buildWorkspace();
  box.files({ Dockerfile: "FROM base\nCOPY a /a\n", a: "in the archive" });
  const tar = join(box.dir, "c.tar.gz");
  await box.program("tar", ["-C", box.context, "-czf", tar, "."]);
  await using server = await serve({ "/c.tar.gz": readFileSync(tar), "/Dockerfile": "FROM base\nENV A=1\n" });
  const archive = await box.tsbox("build", "-t", "img", `${server.address}/c.tar.gz`);
  assert.is(archive.code, 0, archive.stderr);
  assert.is(await box.inside("cat", "/a"), "in the archive");
  const file = await box.tsbox("build", "-t", "img", `${server.address}/Dockerfile`);
  assert.is(file.code, 0, file.stderr);
  assert.is(await box.inside("sh", "-c", "echo $A"), "1\n");
});

need(["user-namespace", "ssh-agent"], test)("RUN --mount=type=ssh reaches the caller's key agent", async () => {
  await using box = buildWorkspace();
  const socket = join(box.dir, "agent");
  const agent = spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" });
  try {
    await until(() => existsSync(socket));
    const text =
      'FROM base\nRUN --mount=type=ssh test -S $SSH_AUTH_SOCK && echo $SSH_AUTH_SOCK > /where\nRUN test -z "$SSH_AUTH_SOCK"\n';
    const { code, stderr } = await box.build(text, ["--ssh", `default=${socket}`]);
    assert.is(code, 0, stderr);
    assert.match(await box.inside("cat", "/where"), /^\/run\/buildkit\/ssh_agent\.\d+\n$/);
    writeFileSync(join(box.context, "Dockerfile"), text.replace("type=ssh", "type=ssh,required=true"));
    const missing = await box.build(undefined, ["--no-cache"]);
    assert.match(missing.stderr, /was given no agent "default"/);
  } finally {
    agent.kill();
  }
});

onKernel("another architecture's image can be put together, if nothing of it is run", async () => {
  await using box = buildWorkspace();
  box.files({ a: "a" });
  const { code, stderr } = await box.build('FROM scratch\nCOPY a /a\nENTRYPOINT ["/a"]\n', [
    "--platform",
    "linux/arm/v7",
  ]);
  assert.is(code, 0, stderr);
  const told = await box.tsbox("inspect", "--format", "{{.Os}}/{{.Architecture}}", "img");
  assert.is(told.stdout, "linux/arm\n");
});

onKernel("stages on the same image, which nobody has used yet, are built side by side", async () => {
  await using box = buildWorkspace();
  const { code, stderr } = await box.build(
    "FROM base AS one\nRUN echo 1 > /1\nFROM base AS two\nRUN echo 2 > /2\nFROM base\nCOPY --from=one /1 /1\nCOPY --from=two /2 /2\n",
  );
  assert.is(code, 0, stderr);
  assert.is(await box.inside("cat", "/1", "/2"), "1\n2\n");
});

onKernel("--no-cache-filter makes one stage anew", async () => {
  await using box = buildWorkspace();
  const text = "FROM base AS one\nRUN echo 1 > /1\nFROM base AS two\nRUN echo 2 > /2\nCOPY --from=one /1 /1\n";
  await box.build(text);
  const { stderr } = await box.build(text, ["--no-cache-filter", "one"]);
  assert.is(count(stderr, "CACHED"), 2, stderr);
});

onKernel("a cache begins with a folder of a stage, once", async () => {
  await using box = buildWorkspace();
  const mount = "--mount=type=cache,target=/c,from=one,source=/seed";
  const text = `FROM base AS one\nRUN mkdir -p /seed/d && echo seed > /seed/d/f\nFROM base\nRUN ${mount} cat /c/d/f > /f; echo more >> /c/d/f\n`;
  for (const expected of ["seed\n", "seed\nmore\n"]) {
    const { code, stderr } = await box.build(text, ["--no-cache"]);
    assert.is(code, 0, stderr);
    assert.is(await box.inside("cat", "/f"), expected);
  }
});

test.run();
