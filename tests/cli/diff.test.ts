/** What a container or an image changed: diff; and a container's files as they are: export. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { type Result, ROOT, type Workspace, workspace } from "../support/tsbox.ts";

const able = need(["user-namespace", "not-root", "overlay-userxattr"], test);

function ok(result: Result): string {
  assert.is(result.code, 0, result.stderr);
  return result.stdout.trimEnd();
}

async function after(script: string, use: (box: Workspace) => Promise<void>): Promise<void> {
  await using box = workspace();
  ok(await box.tsbox("run", "--name", "made", "base", "sh", "-c", script));
  await use(box);
}

const SCRIPT =
  "mkdir -p /new/below; touch /new/below/file; echo x >>/etc/group; rm /etc/passwd; rm -r /usr/share; chmod 700 /tmp";
const LISTED = [
  "C /etc",
  "C /etc/group",
  "D /etc/passwd",
  "A /new",
  "A /new/below",
  "A /new/below/file",
  "C /tmp",
  "C /usr",
  "D /usr/share",
];

able("a container's changes are listed, and those of the image made of it", () =>
  after(SCRIPT, async (box) => {
    assert.equal(ok(await box.tsbox("diff", "made")).split("\n"), LISTED);
    ok(await box.tsbox("commit", "made", "mine:1"));
    assert.equal(ok(await box.tsbox("diff", "mine:1")).split("\n"), LISTED);
    assert.equal(ok(await box.tsbox("image", "diff", "mine:1")).split("\n"), LISTED);
  }),
);

able("a long list reaches a slow reader whole", () =>
  after(
    "mkdir /d; cd /d; i=0; while [ $i -lt 8000 ]; do : >a-name-of-some-length-$i; i=$((i+1)); done",
    async (box) => {
      const program = `"${join(ROOT, "dist/tsbox")}" diff made | { sleep 1; wc -l; }`;
      assert.is(ok(await box.program("sh", ["-c", program])).trim(), "8001");
    },
  ),
);

able("--format json is podman's", () =>
  after(SCRIPT, async (box) => {
    const told = JSON.parse(ok(await box.tsbox("diff", "--format", "json", "made")));
    const of = (kind: string) => LISTED.filter((line) => line.startsWith(kind)).map((line) => line.slice(2));
    assert.equal(told, { changed: of("C"), added: of("A"), deleted: of("D") });
  }),
);

able("two things are compared as wholes, both ways", () =>
  after("mkdir /new; echo 1 >/new/file; echo x >>/etc/group; rm -r /usr/share", async (box) => {
    const forth = ["C /etc/group", "A /new", "A /new/file", "C /usr", "D /usr/share"];
    assert.equal(ok(await box.tsbox("diff", "made", "base")).split("\n"), forth);
    ok(await box.tsbox("commit", "--squash", "made", "flat:1"));
    assert.equal(ok(await box.tsbox("diff", "flat:1", "base")).split("\n"), forth);
    assert.is(ok(await box.tsbox("diff", "flat:1", "made")), "");
    const back = ok(await box.tsbox("diff", "base", "made")).split("\n");
    assert.ok(back.includes("D /new") && back.includes("A /usr/share") && back.includes("C /etc/group"));
    assert.not(back.includes("D /new/file"));
  }),
);

able("a directory made anew tells what it lost", () =>
  after("rm -r /usr/bin; mkdir /usr/bin; touch /usr/bin/awk /usr/bin/mine", async (box) => {
    const lines = ok(await box.tsbox("diff", "made")).split("\n");
    assert.ok(lines.includes("C /usr/bin/awk"));
    assert.ok(lines.includes("A /usr/bin/mine"));
    assert.ok(lines.includes("D /usr/bin/head"));
  }),
);

const ODD = [
  "mkdir /odd /odd/a; cd /odd; touch a/b a.b 'a b' 'back\\x41' $'line\\nfeed' \u00e4 $'\\xff'",
  "mknod pipe p; ln -s nowhere link; ln link/../a/b hard 2>/dev/null || ln a/b hard",
  "rm -r /usr/bin; mkdir /usr/bin; touch /usr/bin/awk; rm -r /usr/share; touch /usr/share",
].join("; ");

able("names of all kinds are told by their bytes, in order", () =>
  after(ODD, async (box) => {
    const lines = ok(await box.tsbox("diff", "made")).split("\n");
    const odd = [
      "",
      "/a",
      "/a b",
      "/a.b",
      "/a/b",
      "/back\\x41",
      "/hard",
      "/line\\x0afeed",
      "/link",
      "/pipe",
      "/\u00e4",
      "/\ufffd",
    ];
    assert.equal(
      lines.filter((line) => line.includes("/odd")),
      odd.map((name) => `A /odd${name}`),
    );
    const { added } = JSON.parse(ok(await box.tsbox("diff", "--format", "json", "made")));
    assert.ok(added.includes("/odd/line\nfeed") && added.includes("/odd/back\\x41"));
    assert.ok(lines.includes("C /usr/share"), "a file where a directory was");
  }),
);

able("what only the container's users may see is told all the same", async () => {
  const [open, closed] = await Promise.all(
    ["", "; mkdir -m 700 /closed; touch /closed/in; chown -R 7:7 /closed"].map(async (more) => {
      await using box = workspace();
      ok(await box.tsbox("run", "--name", "made", "base", "sh", "-c", ODD + more));
      return ok(await box.tsbox("diff", "made")).split("\n");
    }),
  );
  assert.equal(
    closed?.filter((line) => line.includes("/closed")),
    ["A /closed", "A /closed/in"],
  );
  assert.equal(
    closed?.filter((line) => !line.includes("/closed")),
    open,
  );
});

/** A program of so many random changes to few names; the same for the same seed. */
function randomChanges(seed: number, count: number): string {
  let state = seed;
  const pick = (list: string[]) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return list[(state >>> 16) % list.length] as string;
  };
  const name = () =>
    `/t/${[pick(["a", "b", "c"]), pick(["a", "b.", "b"]), pick(["a", "c"])].slice(0, 1 + Number(pick(["0", "1", "2"]))).join("/")}`;
  const change = () =>
    pick([
      `mkdir -p ${name()}`,
      `echo ${state} >${name()}`,
      `rm -rf ${name()}`,
      `mv ${name()} ${name()}`,
      `ln -s x ${name()}`,
      `cp -r ${name()} ${name()}`,
      `rm -rf ${name()}; mkdir ${name()}`,
    ]);
  return Array.from({ length: count }, () => `(${change()}) 2>/dev/null`).join("\n");
}

able("after random changes, what came and went is what the kernel's overlay shows", async () => {
  await using box = workspace();
  ok(await box.tsbox("run", "--name", "first", "base", "sh", "-c", `mkdir /t\n${randomChanges(1, 30)}\ntrue`));
  ok(await box.tsbox("commit", "first", "lower:1"));
  ok(await box.tsbox("run", "--name", "second", "lower:1", "sh", "-c", `${randomChanges(2, 30)}\ntrue`));
  ok(await box.tsbox("commit", "second", "lower:2"));
  let seen = 0;
  for (let seed = 3; seed < 11; seed++) {
    ok(
      await box.tsbox("run", "--replace", "--name", "made", "lower:2", "sh", "-c", `${randomChanges(seed, 25)}\ntrue`),
    );
    const told = ok(await box.tsbox("diff", "made")).split("\n");
    const shown = ok(await box.tsbox("diff", "made", "lower:2"))
      .split("\n")
      .filter(Boolean);
    const moved = (lines: string[]) => lines.filter((line) => /^[AD]/.test(line));
    assert.equal(moved(told), moved(shown), `seed ${seed}`);
    for (const line of shown) assert.ok(told.includes(line), `seed ${seed}: ${line}`);
    seen += moved(shown).length;
  }
  assert.ok(seen > 20, `only ${seen} changes`);
});

able("a container that changed nothing has no changes", () =>
  after("true", async (box) => assert.is(ok(await box.tsbox("diff", "made")), "")),
);

able("export writes the merged tree, the same bytes every time, and what was exported can be imported", () =>
  after("echo mine >/file; ln /file /again; rm -r /usr/share; truncate -s 3000000 /sparse", async (box) => {
    const file = join(box.dir, "root.tar");
    ok(await box.tsbox("export", "-o", file, "made"));
    const piped = await box.program("sh", [
      "-c",
      `"${box.env.TSBOX ?? join(process.cwd(), "dist/tsbox")}" export made | cmp - ${file}`,
    ]);
    ok(piped);
    const listed = ok(await box.program("tar", ["tf", file])).split("\n");
    assert.equal(
      listed,
      [...listed].sort((a, b) => (order(a) < order(b) ? -1 : 1)),
    );
    assert.not(listed.some((name) => name.startsWith("usr/share")));
    ok(await box.tsbox("import", file, "back:1"));
    const script = "cat /again; test /file -ef /again && echo linked; wc -c </sparse";
    assert.is(ok(await box.tsbox("run", "--rm", "back:1", "sh", "-c", script)), "mine\nlinked\n3000000");
  }),
);

/** Directories stand where their entries follow. */
const order = (name: string) => name.replace(/\/$/, "").replaceAll("/", "\0");

able("a running container can be exported and compared", async () => {
  await using box = workspace();
  ok(await box.tsbox("run", "-d", "--name", "live", "base", "sh", "-c", "echo x >/live; sleep 60"));
  for (let round = 0; round < 100; round++) {
    if ((await box.tsbox("exec", "live", "test", "-s", "/live")).code === 0) break;
  }
  assert.is(ok(await box.tsbox("diff", "live")), "A /live");
  ok(await box.tsbox("export", "-o", join(box.dir, "live.tar"), "live"));
  assert.is(ok(await box.program("tar", ["xOf", join(box.dir, "live.tar"), "live"])), "x");
});

able("what cannot be exported or compared is told", () =>
  after("true", async (box) => {
    mkdirSync(join(box.dir, "folder"));
    for (const [args, says] of [
      [["diff", "nothing"], 'Cannot find image "nothing"'],
      [["export", "nothing"], 'Cannot find container "nothing"'],
      [["export", "-o", join(box.dir, "folder"), "made"], "it is a folder"],
      [["export", "-o", join(box.dir, "none/file"), "made"], "its folder does not exist"],
    ] as [string[], string][]) {
      const result = await box.tsbox(...args);
      assert.is(result.code, 1);
      assert.ok(result.stderr.includes(says), result.stderr);
    }
  }),
);

test.run();
