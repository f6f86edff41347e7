import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { leftovers } from "../support/store.ts";
import { buildWorkspace } from "./support/build.ts";

const onKernel = need("user-namespace", test);

/** Dockerfiles that are refused, and what is said. */
const REFUSED: [name: string, text: string, said: RegExp][] = [
  [
    "an unknown instruction",
    "FROM base\nRUNN x\n",
    /Dockerfile:2:1: unknown instruction "RUNN"\n.*RUNN x\n.*\^{4}\nhint: did you mean RUN\?/,
  ],
  [
    "an unknown flag",
    "FROM base\nRUN --allow-net=x true\n",
    /2:5: RUN has no flag --allow-net[\s\S]*known are --mount, --network/,
  ],
  ["a missing source", "FROM base\nCOPY nothing /\n", /2:6: "nothing" is not in the context/],
  ["a pattern that fits nothing", "FROM base\nCOPY *.zip /\n", /nothing in the context fits "\*\.zip"/],
  ["a source above the context", "FROM base\nCOPY ../x /\n", /2:6: "\.\.\/x" leads out of the context/],
  [
    "a link that leads out",
    "FROM base\nCOPY out /\n",
    /2:6: "out" is a link that leads out of the context, to "\/etc\/passwd"/,
  ],
  ["a folder's link that leads out", "FROM base\nCOPY up/x /\n", /"up\/x" is a link that leads out of the context/],
  [
    "a cycle of stages",
    "FROM base AS a\nCOPY --from=b /x /\nFROM base AS b\nCOPY --from=a /x /\n",
    /need each other: b → a → b/,
  ],
  ["a stage that is not there", "FROM base\nCOPY --from=3 /x /\n", /there is no stage 3/],
  ["an unknown user", "FROM base\nCOPY --chown=nobody-knows a /\n", /unknown user "nobody-knows"/],
  ["several sources for one file", "FROM base\nCOPY a b /c\n", /several sources need a folder/],
  ["a folder where a file is", "FROM base\nRUN echo > /f\nCOPY a /f/\n", /3:8: "\/f" of the image is a file/],
  ["a file where a folder is", "FROM base\nRUN mkdir -p /t/a\nCOPY a /t/\n", /"\/t\/a" of the image is a folder/],
  ["no FROM", "# nothing\n", /the file has no FROM/],
  ["a heredoc without end", "FROM base\nRUN <<EOF\nx\n", /the heredoc never ends/],
  ["a wrong port", "FROM base\nEXPOSE http\n", /"http" is not a port/],
  ["a variable that must be set", 'FROM base\nARG X\nENV A="${X:?say it}"\n', /X: say it/],
  ["the host as a base", "FROM host\n", /"host" is no image to build on/],
];

for (const [name, text, said] of REFUSED) {
  onKernel(`${name} is refused with file, line and caret`, async () => {
    await using box = buildWorkspace();
    box.files({ a: "a", b: "b" });
    symlinkSync("/etc/passwd", join(box.context, "out"));
    symlinkSync("..", join(box.context, "up"));
    const { code, stderr, stdout } = await box.build(text);
    assert.is(code, 1, stderr);
    assert.match(stderr, said);
    assert.is(stdout, "");
    assert.equal(leftovers(join(box.dir, "store")), []);
  });
}

onKernel("a link within a copied folder stays a link, wherever it leads", async () => {
  await using box = buildWorkspace();
  mkdirSync(join(box.context, "d"));
  symlinkSync("/etc/hostname", join(box.context, "d/l"));
  assert.is((await box.build("FROM base\nCOPY d /d\n")).code, 0);
  assert.is(await box.inside("readlink", "/d/l"), "/etc/hostname\n");
});

onKernel("a context or Dockerfile that is not there", async () => {
  await using box = buildWorkspace();
  assert.match((await box.tsbox("build", join(box.dir, "nowhere"))).stderr, /no such folder/);
  assert.match((await box.tsbox("build", box.context)).stderr, /has no Dockerfile/);
  writeFileSync(join(box.context, "Dockerfile"), "FROM base\n");
  assert.match((await box.tsbox("build", "-f", "other", box.context)).stderr, /Cannot read the Dockerfile/);
  assert.match((await box.tsbox("build", "-t", "UPPER", box.context)).stderr, /capital letters/);
  assert.match((await box.tsbox("build", "--target", "x", box.context)).stderr, /no stage "x"/);
  const never = await box.build("FROM localhost:1/none\n");
  assert.is(never.code, 1);
  assert.match(never.stderr, /Dockerfile:1:6/);
});

test.run();
