import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { leftovers } from "../support/store.ts";
import { buildWorkspace, count } from "./support/build.ts";

const onKernel = need("user-namespace", test);

onKernel("a secret is seen by its step alone", async () => {
  await using box = buildWorkspace();
  writeFileSync(join(box.dir, "token"), "t0ken");
  const text = [
    "FROM base",
    "RUN --mount=type=secret,id=tok cat /run/secrets/tok | wc -c > /n && stat -c %a /run/secrets/tok >> /n",
    "RUN --mount=type=secret,id=tok,target=/deep/er,mode=0444 cat /deep/er | wc -c >> /n",
    "RUN --mount=type=secret,id=var,env=VAR echo $VAR | wc -c >> /n",
    'RUN ls /run/secrets /deep 2>/dev/null; test ! -e /run/secrets/tok && test ! -e /deep/er && test -z "$VAR"',
    "RUN --mount=type=secret,id=none test ! -e /run/secrets/none",
  ].join("\n");
  const { code, stderr } = await box.build(
    text,
    ["--secret", `id=tok,src=${join(box.dir, "token")}`, "--secret", "id=var,env=SECRET_VAR"],
    { env: { SECRET_VAR: "fromenv" } },
  );
  assert.is(code, 0, stderr);
  assert.is(await box.inside("cat", "/n"), "5\n400\n5\n8\n");
  assert.is(
    await box.inside("sh", "-c", "ls -d /deep /run/secrets 2>/dev/null | wc -l"),
    "0\n",
    "no mount point is left",
  );
  const { history } = await box.inspect();
  assert.not.match(JSON.stringify(history), /t0ken|fromenv/);
  const required = await box.build("FROM base\nRUN --mount=type=secret,id=q,required=true true\n");
  assert.is(required.code, 1);
  assert.match(required.stderr, /was not given the secret "q"/);
});

onKernel("a cache mount outlives the build and is not in the image", async () => {
  await using box = buildWorkspace();
  const text = (n: number) =>
    `FROM base\nRUN --mount=type=cache,target=/c,id=mine echo ${n} >> /c/f && cat /c/f > /seen\n`;
  await box.build(text(1));
  await box.build(text(2));
  assert.is(await box.inside("cat", "/seen"), "1\n2\n");
  assert.is(await box.inside("sh", "-c", "ls -d /c 2>/dev/null | wc -l"), "0\n");
  const locked = await box.build(
    "FROM base\nRUN --mount=type=cache,target=/c,id=o,uid=1000,mode=0700,sharing=locked stat -c '%u %a' /c > /s\n",
  );
  assert.is(locked.code, 0, locked.stderr);
});

onKernel("bind mounts show the context, a stage or an image, and keep what is written to themselves", async () => {
  await using box = buildWorkspace();
  box.files({ "src/a": "a", "src/b": "b", hidden: "h", ".dockerignore": "hidden\n" });
  const text = [
    "FROM base AS tools",
    "RUN mkdir /tools && echo tool > /tools/t",
    "FROM base",
    "RUN --mount=target=/ctx,source=src cat /ctx/a /ctx/b > /o && ! touch /ctx/new",
    "RUN --mount=target=/ctx,rw touch /ctx/new && test ! -e /ctx/hidden",
    "RUN --mount=from=tools,source=/tools,target=/t cat /t/t >> /o",
    "RUN --mount=from=tools,source=/tools/t,target=/t cat /t >> /o",
    "RUN --mount=from=base,target=/t ls /t/bin/sh",
  ].join("\n");
  const { code, stderr } = await box.build(text);
  assert.is(code, 0, stderr);
  assert.is(await box.inside("cat", "/o"), "abtool\ntool\n");
  assert.not(existsSync(join(box.context, "new")));
  assert.is(count((await box.build(text)).stderr, "CACHED"), 6);
  box.files({ "src/a": "A" });
  await box.build(text);
  assert.is(await box.inside("cat", "/o"), "Abtool\ntool\n");
});

onKernel("a tmpfs mount, an added host, a user and a working directory of its own", async () => {
  await using box = buildWorkspace();
  const { code, stderr } = await box.build(
    [
      "FROM base",
      "RUN --mount=type=tmpfs,target=/tmpf,size=1m touch /tmpf/x && df /tmpf | tail -1 > /df",
      "RUN grep '10.1.2.3.*db' /etc/hosts",
      "USER 1234",
      "WORKDIR /mine",
      "RUN touch here && stat -c %u . here > ids && id -u >> ids",
    ].join("\n"),
    ["--add-host", "db:10.1.2.3"],
  );
  assert.is(code, 0, stderr);
  assert.is(await box.inside("cat", "/mine/ids"), "1234\n1234\n1234\n");
  assert.is(await box.inside("sh", "-c", "ls -d /tmpf 2>/dev/null; grep -c 10.1.2.3 /etc/hosts"), "1: 0\n");
});

onKernel("folders that only their owner may enter are no obstacle", async () => {
  await using box = buildWorkspace();
  box.files({ a: "a", "d/x": "x" });
  const { code, stderr } = await box.build(
    [
      "FROM base",
      "RUN mkdir -p /home/app/have && chown -R 1000:1000 /home/app && chmod 700 /home/app",
      "COPY --chown=1000:1000 a /home/app/have/",
      "COPY --chown=1000 a /home/app/new/b",
      "COPY d /home/app/have",
      "WORKDIR /home/app/work",
      "USER 1000",
      "RUN --mount=type=cache,target=/home/app/.cache,uid=1000 touch /home/app/.cache/x && cat ../have/a ../new/b ../have/x > /home/app/all",
    ].join("\n"),
  );
  assert.is(code, 0, stderr);
  assert.is(
    await box.inside("sh", "-c", "cat /home/app/all; ls -a /home/app; stat -c '%u %a' /home/app"),
    "aax.\n..\nall\nhave\nnew\nwork\n1000 700\n",
  );
});

onKernel("files that only their owner may read are copied from a stage, with their owner", async () => {
  await using box = buildWorkspace();
  const { code, stderr } = await box.build(
    [
      "FROM base AS one",
      "RUN mkdir -p /p/q && echo s > /p/q/secret && ln -s secret /p/q/l && ln /p/q/secret /p/q/hard && chown -hR 7:8 /p && chmod -R go-rwx /p",
      "FROM base",
      "COPY --from=one /p /p",
      "COPY --from=one /p/q/secret /one",
      "COPY --from=one /p/q/h* /two/",
    ].join("\n"),
  );
  assert.is(code, 0, stderr);
  const script =
    "cat /p/q/secret /p/q/hard /one /two/hard; readlink /p/q/l; stat -c '%u:%g %a' /p /p/q /p/q/secret /one";
  assert.is(await box.inside("sh", "-c", script), "s\ns\ns\ns\nsecret\n0:0 755\n7:8 700\n7:8 600\n7:8 600\n");
});

onKernel("exec form, SHELL, and a step without standard input", async () => {
  await using box = buildWorkspace();
  const { code, stderr } = await box.build(
    'FROM base\nRUN ["sh", "-c", "echo $0 exec > /f"]\nSHELL ["/bin/sh", "-c", "echo shell >> /f; eval \\"$0\\""]\nRUN cat >> /f && echo end >> /f\n',
  );
  assert.is(code, 0, stderr);
  assert.is(await box.inside("cat", "/f"), "sh exec\nshell\nend\n");
});

onKernel("a failing step says its status, last lines, number and place", async () => {
  await using box = buildWorkspace();
  const failed = await box.build("FROM base\nENV A=1\nRUN echo to-out; echo to-err >&2; exit 7\n");
  assert.is(failed.code, 1);
  assert.match(failed.stderr, /Dockerfile:3:1: step 2 of 2 ended with status 7/);
  assert.match(failed.stderr, /to-out\n\s+to-err/);
  assert.match(failed.stderr, /3 \| RUN echo/);
  const missing = await box.build('FROM base\nRUN ["/no/such"]\n');
  assert.is(missing.code, 1);
  assert.match(missing.stderr, /Dockerfile:2/);
  assert.match(missing.stderr, /no\/such/);
});

onKernel("a step that fails for want of a network says so", async () => {
  await using box = buildWorkspace();
  const failed = await box.build("FROM base\nRUN nc -w 1 198.51.100.1 80\n");
  assert.is(failed.code, 1);
  assert.match(failed.stderr, /no network: use --network host/);
  const asked = await box.build("FROM base\nRUN --network=host true\n");
  assert.is(asked.code, 1);
  assert.match(asked.stderr, /asks for the host's network, which this build was not given/);
  assert.is(
    (await box.build("FROM base\nRUN --network=host true\nRUN --network=none true\n", ["--network", "host"])).code,
    0,
  );
  const links = "RUN ls /sys/class/net > /links || cat /proc/net/dev > /links\n";
  assert.is((await box.build(`FROM base\n${links}`)).code, 0);
  assert.match(await box.inside("cat", "/links"), /lo/);
});

onKernel("Ctrl-C ends the build and leaves nothing but the steps that ended", async () => {
  await using box = buildWorkspace();
  writeFileSync(join(box.context, "Dockerfile"), "FROM base\nRUN echo one > /one\nRUN echo waiting; sleep 100\n");
  const child = box.start(["build", "-t", "img", box.context]);
  let text = "";
  await new Promise<void>((resolve) => {
    child.stderr?.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (/#2 waiting/.test(text)) resolve();
    });
  });
  child.kill("SIGINT");
  const code = await new Promise((resolve) => child.on("close", (status, signal) => resolve(status ?? signal)));
  assert.is(code, 130, text);
  assert.equal(leftovers(join(box.dir, "store")), []);
  assert.is((await box.tsbox("images", "-q")).stdout.split("\n").length - 1, 1, "base alone");
  const again = await box.build("FROM base\nRUN echo one > /one\n");
  assert.is(count(again.stderr, "CACHED"), 1);
  assert.not.match(readFileSync("/proc/self/mountinfo", "utf8"), new RegExp(box.dir));
});

test.run();
