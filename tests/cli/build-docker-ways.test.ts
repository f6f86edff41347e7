/** Idioms of other people's Dockerfiles whose meaning is a matter of docker's ways: checked against what BuildKit does. */
import { chmodSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { buildWorkspace } from "./support/build.ts";

const onKernel = need("user-namespace", test);
const withOwners = need(["user-namespace", "subids"], test);

withOwners(
  "COPY of a folder: its content, and the modes and owners of the folders in it, but not its own",
  async () => {
    await using box = buildWorkspace();
    box.files({ "tree/a/b/f": "f" });
    chmodSync(join(box.context, "tree/a/b"), 0o700);
    chmodSync(join(box.context, "tree"), 0o750);
    const { code, stderr } = await box.build(`FROM base
RUN mkdir -p /a/b /a/c && chmod 1777 /a/b && chown 5:5 /a/b /a/c && echo kept > /a/b/kept
COPY tree /
COPY tree /new
COPY tree/ /slash/
COPY --chown=3:4 tree /own
COPY t*ee /many/
`);
    assert.is(code, 0, stderr);
    const listed = await box.inside(
      "stat",
      "-c",
      "%n %a %u:%g",
      ..."/a /a/b /a/c /new /new/a/b /slash /own /own/a/b /many".split(" "),
    );
    assert.equal(listed.trim().split("\n"), [
      "/a 755 0:0",
      "/a/b 700 0:0",
      "/a/c 755 5:5",
      "/new 755 0:0",
      "/new/a/b 700 0:0",
      "/slash 755 0:0",
      "/own 755 3:4",
      "/own/a/b 700 3:4",
      "/many 755 0:0",
    ]);
    assert.is(await box.inside("cat", "/a/b/kept", "/a/b/f"), "kept\nf");
  },
);

withOwners("RUN --mount=type=cache has the owner and the mode that it asks for", async () => {
  await using box = buildWorkspace();
  const { code, stderr } = await box.build(`FROM base
RUN --mount=type=cache,target=/c,uid=5,gid=6,mode=0700 stat -c '%u:%g %a' /c > /one
RUN --mount=type=cache,target=/d,mode=0711,sharing=private stat -c '%u:%g %a' /d > /two
USER 7:8
RUN --mount=type=cache,target=/e,uid=7,gid=8,mode=750,sharing=locked stat -c '%u:%g %a' /e > /tmp/three && touch /e/x
`);
  assert.is(code, 0, stderr);
  assert.is(await box.inside("cat", "/one", "/two", "/tmp/three"), "5:6 700\n0:0 711\n7:8 750\n");
});

onKernel("what RUN writes to a mounted file of the context is not kept", async () => {
  await using box = buildWorkspace();
  box.files({ f: "first\n" });
  const { code, stderr } = await box.build(
    "FROM base\nRUN --mount=type=bind,source=f,target=/f,rw echo more >> /f && cp /f /copy\n",
  );
  assert.is(code, 0, stderr);
  assert.is(await box.inside("cat", "/copy"), "first\nmore\n");
  assert.is(readFileSync(join(box.context, "f"), "utf8"), "first\n");
});

onKernel(
  "what is written below a VOLUME stays, ENTRYPOINT takes the SHELL, and resets CMD of the base alone",
  async () => {
    await using box = buildWorkspace();
    box.files({ f: "f" });
    const { code, stderr } = await box.build(
      `FROM base AS one
CMD ["of the base"]
VOLUME /data
RUN mkdir /data && echo after > /data/after
COPY f /data/f
FROM one AS two
SHELL ["/bin/sh", "-exc"]
ENTRYPOINT exec true
FROM two
CMD ["mine"]
ENTRYPOINT ["e"]
`,
      ["--target", "two"],
    );
    assert.is(code, 0, stderr);
    const two = (await box.inspect()).config;
    assert.equal(two.Entrypoint, ["/bin/sh", "-exc", "exec true"]);
    assert.not.ok(two.Cmd);
    assert.is(
      await box.tsbox("run", "--rm", "--entrypoint", "cat", "img", "/data/after", "/data/f").then((r) => r.stdout),
      "after\nf",
    );
    await box.build(undefined);
    const last = (await box.inspect()).config;
    assert.equal([last.Entrypoint, last.Cmd], [["e"], ["mine"]]);
  },
);

onKernel("the escape character of a file is that of its variables, too", async () => {
  await using box = buildWorkspace();
  const lines = [
    "# escape=`",
    "FROM base",
    "ENV P=C:\\win Q=`$x",
    "RUN echo one `",
    "  # a comment between",
    "  && echo two > /two `",
    "",
    "  && echo $P > /p",
    'CMD ["a", "b\\\\c"]',
    "",
  ];
  const { code, stderr } = await box.build(lines.join("\n"));
  assert.is(code, 0, stderr);
  const { Env, Cmd } = (await box.inspect()).config;
  assert.ok(Env?.includes("P=C:\\win") && Env.includes("Q=$x"), String(Env));
  assert.equal(Cmd, ["a", "b\\c"]);
  assert.is(await box.inside("cat", "/two", "/p"), "two\nC:\\win\n");
});

const COMPRESSORS: [program: string, ending: string][] = [
  ["gzip", "gz"],
  ["xz", "xz"],
  ["bzip2", "bz2"],
  ["zstd", "zst"],
];

for (const [program, ending] of COMPRESSORS) {
  need(["user-namespace", ...(program === "gzip" ? [] : [program])], test)(
    `tars by ${program}: as the context on standard input and by address, and for ADD`,
    async () => {
      await using box = buildWorkspace();
      box.files({
        "in/Dockerfile": "FROM base\nCOPY f /f\n",
        "in/f": "packed\n",
        "in/sub/Other": "FROM base\nCOPY f /other\n",
      });
      const tar = join(box.context, "in.tar");
      await box.program("tar", ["-C", join(box.context, "in"), "-cf", tar, "."]);
      assert.is((await box.program(program, ["-q", tar])).code, 0);
      const packed = readFileSync(`${tar}.${ending}`);
      const onStdin = await box.run(["build", "-t", "img", "-"], { input: packed });
      assert.is(onStdin.code, 0, onStdin.stderr);
      assert.is(await box.inside("cat", "/f"), "packed\n");
      const other = await box.run(["build", "-t", "img", "-f", "sub/Other", "-"], { input: packed, cwd: box.dir });
      assert.is(other.code, 0, other.stderr);
      assert.is(await box.inside("cat", "/other"), "packed\n");
      const added = await box.build(`FROM base\nADD in.tar.${ending} /added/\n`);
      assert.is(added.code, 0, added.stderr);
      assert.is(await box.inside("cat", "/added/f"), "packed\n");
      const server = createServer((_, answer) => answer.end(packed));
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      try {
        const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}/in.tar.${ending}`;
        const fetched = await box.tsbox("build", "-t", "img", address);
        assert.is(fetched.code, 0, fetched.stderr);
        assert.is(await box.inside("cat", "/f"), "packed\n");
      } finally {
        server.close();
      }
    },
  );
}

onKernel("a file that only looks compressed is copied as it is", async () => {
  await using box = buildWorkspace();
  writeFileSync(join(box.context, "a.bz2"), "BZh9 is how this text begins");
  writeFileSync(join(box.context, "a.xz"), Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 1, 2, 3]));
  const { code, stderr } = await box.build("FROM base\nADD a.bz2 a.xz /x/\n");
  assert.is(code, 0, stderr);
  assert.is(await box.inside("stat", "-c", "%n %s", "/x/a.bz2", "/x/a.xz"), "/x/a.bz2 28\n/x/a.xz 9\n");
});

test.run();
