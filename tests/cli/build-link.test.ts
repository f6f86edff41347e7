/** COPY --link: a layer that is the same whatever it lies on. */

import { randomBytes } from "node:crypto";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { leftovers, storeProblems } from "../support/store.ts";
import { buildWorkspace } from "./support/build.ts";

const onKernel = need("user-namespace", test);

onKernel("its step stays cached when an earlier one changed, and its layer is the same", async () => {
  await using box = buildWorkspace();
  box.files({ "d/f": "linked\n", other: "one" });
  const text = "FROM base\nCOPY other /other\nCOPY --link d /d\nCOPY d /plain\n";
  const first = await box.build(text, ["--explain"]);
  assert.is(first.code, 0, first.stderr);
  const before = (await box.inspect()).layers;
  box.files({ other: "two" });
  const { stderr } = await box.build(undefined, ["--explain"]);
  const told = (step: number) => stderr.split("\n").filter((line) => line.startsWith(`#${step} `));
  assert.match(told(1).join("\n"), /why: "other" changed/);
  assert.match(told(2).join("\n"), /why: in the cache: with --link the steps before it do not count\n#2 CACHED/);
  assert.match(told(3).join("\n"), /why: the step before made something else/);
  const after = (await box.inspect()).layers;
  assert.is.not(after.at(-3), before.at(-3));
  assert.is(after.at(-2), before.at(-2));
  assert.is(await box.inside("cat", "/other", "/d/f", "/plain/f"), "twolinked\nlinked\n");
  assert.equal(leftovers(box.env.TSBOX_ROOT as string), []);
  assert.equal(storeProblems(box.env.TSBOX_ROOT as string), []);
});

onKernel("it is found on another base image as well", async () => {
  await using box = buildWorkspace();
  box.files({ f: "f\n" });
  await box.build("FROM base\nCOPY --link f /f\n");
  const other = await box.build("FROM scratch\nCOPY --link f /f\n");
  assert.match(other.stderr, /CACHED/);
  assert.is((await box.inspect()).layers.length, 1);
});

onKernel("links of the image are not followed: they make way for folders", async () => {
  await using box = buildWorkspace();
  box.files({ f: "new\n" });
  const base = "FROM base\nRUN mkdir /real /etc/app && ln -s /real /way && ln -s /real/g /g && echo old > /real/g\n";
  const { code, stderr } = await box.build(`${base}COPY f /way/f\nCOPY f /g\n`);
  assert.is(code, 0, stderr);
  assert.is(await box.inside("sh", "-c", "cat /real/f /real/g; readlink /way"), "new\nnew\n/real\n");
  const linked = await box.build(`${base}COPY --link f /way/f\nCOPY --link f /g\n`);
  assert.is(linked.code, 0, linked.stderr);
  assert.is(
    await box.inside("sh", "-c", "cat /way/f /g /real/g; ls /real; readlink /way /g || true"),
    "new\nnew\nold\ng\n",
  );
});

onKernel("a destination that is a folder of the image has to be written as one", async () => {
  await using box = buildWorkspace();
  box.files({ f: "f\n" });
  const base = "FROM base\nRUN mkdir /dir && echo 1 > /dir/one\n";
  await box.build(`${base}COPY --link f /dir/\n`);
  assert.is(await box.inside("ls", "/dir"), "f\none\n");
  await box.build(`${base}COPY --link f /dir\n`);
  assert.is(await box.inside("cat", "/dir"), "f\n");
});

onKernel("owners by name are those of the image, whose numbers are part of the step", async () => {
  await using box = buildWorkspace();
  box.files({ f: "f\n" });
  const text = (id: number) =>
    `FROM base\nRUN echo app:x:${id}:${id}::/:/bin/sh >> /etc/passwd\nCOPY --link --chown=app f /f\n`;
  await box.build(text(1234));
  assert.is(await box.inside("stat", "-c", "%u", "/f"), "1234\n");
  const { stderr } = await box.build(text(4321));
  assert.not.match(stderr, /#2 CACHED/);
  assert.is(await box.inside("stat", "-c", "%u", "/f"), "4321\n");
});

onKernel("ADD has it too, and steps on top of it find their layers", async () => {
  await using box = buildWorkspace();
  box.files({ f: "f\n", other: "one" });
  const text = "FROM base\nCOPY other /other\nADD --link f /f\nRUN cat /f > /g\n";
  await box.build(text);
  box.files({ other: "two" });
  const changed = await box.build(undefined);
  assert.match(changed.stderr, /#2 CACHED/);
  assert.match(changed.stderr, /#3 DONE/);
  const again = await box.build(undefined);
  assert.match(again.stderr, /#3 CACHED/);
  box.files({ other: "one" });
  assert.match((await box.build(undefined)).stderr, /#3 CACHED/);
  assert.is(await box.inside("cat", "/other", "/g"), "onef\n");
});

onKernel("a linked step comes from --cache-from, whatever is below it here", async () => {
  await using box = buildWorkspace();
  box.files({ f: "f\n", other: "one" });
  const cache = `${box.dir}/cache`;
  const text = "FROM base\nCOPY other /other\nCOPY --link f /f\n";
  await box.build(text, ["--cache-to", `type=local,dest=${cache}`]);
  await using second = buildWorkspace();
  second.files({ f: "f\n", other: "two" });
  const { stderr } = await second.build(text, ["--cache-from", `type=local,src=${cache}`]);
  assert.match(stderr, /#1 DONE/);
  assert.match(stderr, /#2 CACHED/);
  assert.is(await second.inside("cat", "/other", "/f"), "twof\n");
});

onKernel("eight stages that wait for one layer from --cache-from do not stop each other", async () => {
  await using box = buildWorkspace();
  writeFileSync(join(box.context, "f"), randomBytes(4 << 20));
  const stages = Array.from({ length: 8 }, (_, i) => `FROM base AS s${i}\nCOPY f /f\n`);
  const copies = stages.map((_, i) => `COPY --from=s${i} /f /f${i}\n`);
  const text = `${stages.join("")}FROM scratch\n${copies.join("")}`;
  const cache = join(box.dir, "cache");
  assert.is((await box.build(text, ["--cache-to", `type=local,dest=${cache},mode=max`])).code, 0);
  await using second = buildWorkspace();
  copyFileSync(join(box.context, "f"), join(second.context, "f"));
  const { code, stderr } = await second.build(text, ["--cache-from", `type=local,src=${cache}`]);
  assert.is(code, 0, stderr);
  assert.not.match(stderr, /DONE/);
});

test.run();
