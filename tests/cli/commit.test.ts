/** From container to image and back: commit, and what other tools find in the result. */
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { rootTarball } from "../support/images.ts";
import { need } from "../support/need.ts";
import { leftovers, orphans, storeProblems } from "../support/store.ts";
import { type Result, runProgram, type Workspace, workspace } from "../support/tsbox.ts";

const USABLE = ["user-namespace", "not-root"];
const able = need([...USABLE, "overlay-userxattr"], test);

function ok(result: Result): string {
  assert.is(result.code, 0, result.stderr);
  return result.stdout.trimEnd();
}

/** A container of `base` that has run these commands, and the store looked over at the end. */
async function after(script: string, use: (box: Workspace) => Promise<void>): Promise<void> {
  await using box = workspace();
  ok(await box.tsbox("run", "--name", "made", "base", "sh", "-c", script));
  await use(box);
  const store = box.env.TSBOX_ROOT as string;
  assert.equal(storeProblems(store), []);
  assert.equal(orphans(store), []);
  assert.equal(leftovers(store), []);
}

const inspect = async (box: Workspace, format: string, name: string) =>
  ok(await box.tsbox("inspect", "--format", format, name));

able("an image has what its container wrote, and not what it removed", () =>
  after(
    "echo hello >/hello; mkdir -p /a/b; ln /hello /a/b/again; ln -s hello /link; rm /etc/passwd; rm -r /var; mkdir /var; touch /var/new",
    async (box) => {
      const id = ok(await box.tsbox("commit", "made", "mine:1"));
      assert.is(await inspect(box, "{{.Id}}", "mine:1"), id);
      const script = "cat /link; ls /var; test -e /etc/passwd || echo gone; test /hello -ef /a/b/again && echo linked";
      assert.is(ok(await box.tsbox("run", "--rm", "mine:1", "sh", "-c", script)), "hello\nnew\ngone\nlinked");
    },
  ),
);

able("what tsbox put into the container is not committed", () =>
  after("touch /mine", async (box) => {
    ok(await box.tsbox("commit", "made", "mine:1"));
    const manifest = JSON.parse(readBlob(box, await inspect(box, "{{.Digest}}", "mine:1")));
    const { digest } = manifest.layers.at(-1);
    const names = ok(
      await box.program("tar", ["tzf", join(box.env.TSBOX_ROOT as string, "oci/blobs/sha256", digest.slice(7))]),
    );
    assert.is(names, "mine");
  }),
);

function readBlob(box: Workspace, digest: string): string {
  return readFileSync(join(box.env.TSBOX_ROOT as string, "oci/blobs/sha256", digest.slice(7)), "utf8");
}

able("commit sets config and history as it was told", () =>
  after("touch /x", async (box) => {
    const file = join(box.dir, "id");
    const change = ["-c", 'CMD ["echo","changed"]', "-c", "ENV A=1 B=2", "-c", "LABEL k=v", "-c", "WORKDIR /tmp"];
    const id = ok(
      await box.tsbox("commit", "-a", "Somebody", "-m", "why", ...change, "--iidfile", file, "made", "mine:1"),
    );
    assert.is(readFileSync(file, "utf8"), id);
    assert.is(ok(await box.tsbox("run", "--rm", "mine:1")), "changed");
    assert.is(ok(await box.tsbox("run", "--rm", "mine:1", "sh", "-c", "echo $A$B $PWD")), "12 /tmp");
    assert.is(await inspect(box, "{{.Config.Labels.k}}", "mine:1"), "v");
    const config = JSON.parse(readBlob(box, id));
    assert.is(config.author, "Somebody");
    const [, step] = config.history;
    assert.is(step.created_by, "sh -c touch /x");
    assert.is(step.author, "Somebody");
    assert.is(step.comment, "why");
    assert.not(config.config.Env.some((variable: string) => /^(HOSTNAME|HOME|TERM)=/.test(variable)));
  }),
);

able("a container that changed nothing adds no layer", () =>
  after("true", async (box) => {
    ok(await box.tsbox("commit", "made", "mine:1"));
    const config = JSON.parse(readBlob(box, await inspect(box, "{{.Id}}", "mine:1")));
    assert.is(config.rootfs.diff_ids.length, 1);
    assert.is(config.history.at(-1).empty_layer, true);
    assert.is(ok(await box.tsbox("run", "--rm", "mine:1", "echo", "runs")), "runs");
  }),
);

able("with a fixed time the same changes give the same image", async () => {
  const ids: string[] = [];
  for (const name of ["one", "two"]) {
    await using box = workspace();
    const script = "echo text >/file; mkdir /d; mknod /d/fifo p; truncate -s 3M /sparse; ln /file /d/z; rm -r /var";
    ok(await box.tsbox("run", "--name", name, "base", "sh", "-c", script));
    ids.push(ok(await box.tsbox("commit", "--source-date-epoch", "1700000000", name)));
  }
  assert.is(ids[0], ids[1]);
});

able("squash leaves one layer with everything", () =>
  after("echo new >/new; rm /etc/passwd", async (box) => {
    ok(await box.tsbox("commit", "--squash", "made", "flat:1"));
    const config = JSON.parse(readBlob(box, await inspect(box, "{{.Id}}", "flat:1")));
    assert.is(config.rootfs.diff_ids.length, 1);
    assert.is(config.history.length, 1);
    const script = "cat /new; test -e /etc/passwd || echo gone; ls /bin/sh";
    assert.is(ok(await box.tsbox("run", "--rm", "flat:1", "sh", "-c", script)), "new\ngone\n/bin/sh");
  }),
);

need([...USABLE, "skopeo"], test)("skopeo takes a committed image, in either format", () =>
  after("touch /x", async (box) => {
    for (const format of ["oci", "docker"]) {
      ok(await box.tsbox("commit", "--format", format, "made", `mine:${format}`));
      const manifest = JSON.parse(readBlob(box, await inspect(box, "{{.Digest}}", `mine:${format}`)));
      assert.match(manifest.mediaType, format === "oci" ? /oci\.image\.manifest/ : /docker\.distribution\.manifest/);
      assert.match(manifest.layers[1].mediaType, format === "oci" ? /oci\.image\.layer/ : /docker\.image\.rootfs/);
      const archive = join(box.dir, `${format}.tar`);
      ok(await box.tsbox("save", "-o", archive, `mine:${format}`));
      const skopeo = ["--tmpdir", join(box.dir, "tmp"), "inspect", "--config", `docker-archive:${archive}`];
      assert.is(JSON.parse(ok(await box.program("skopeo", skopeo))).rootfs.diff_ids.length, 2);
    }
  }),
);

able("with one id, files keep the owners that they have in the image", async () => {
  const tarball = await rootTarball();
  if (!tarball) return;
  const bin = mkdtempSync(join(tmpdir(), "tsbox-test-bin-"));
  try {
    // newuidmap is not found: one id is all there is
    symlinkSync(process.execPath, join(bin, "node"));
    await using box = workspace({ PATH: bin });
    ok(await box.tsbox("import", tarball.path, "root:1"));
    const script =
      "echo x >>/etc/shadow; echo new >/etc/new; rm /etc/group; echo >/etc/group; ln /etc/shadow /etc/again";
    ok(await box.tsbox("run", "--name", "made", "root:1", "sh", "-c", script));
    ok(await box.tsbox("commit", "made", "mine:1"));
    ok(await box.tsbox("commit", "--squash", "made", "flat:1"));

    const before = await owners(tarball.path);
    const layer = await owners(await topLayer(box, "mine:1"));
    assert.is(layer.get("etc/shadow"), before.get("etc/shadow"));
    assert.is(layer.get("etc/again"), before.get("etc/shadow"));
    assert.is(layer.get("etc/new"), "0/0");
    assert.is(layer.get("etc/group"), "0/0");

    const flat = await owners(await topLayer(box, "flat:1"));
    const changed = ["", "etc/group"];
    for (const [name, owner] of before) {
      if (!changed.includes(name)) assert.is(flat.get(name), owner, name);
    }
    assert.is(flat.get("etc/new"), "0/0");
  } finally {
    rmSync(bin, { recursive: true });
  }
});

async function topLayer(box: Workspace, name: string): Promise<string> {
  const manifest = JSON.parse(readBlob(box, await inspect(box, "{{.Digest}}", name)));
  return join(box.env.TSBOX_ROOT as string, "oci/blobs/sha256", manifest.layers.at(-1).digest.slice(7));
}

/** Name → "UID/GID", by GNU tar. */
async function owners(archive: string): Promise<Map<string, string>> {
  const listed = ok(await runProgram("tar", ["--numeric-owner", "-tvf", archive]));
  return new Map(
    listed.split("\n").map((line) => {
      const [, owner = ""] = line.split(/\s+/);
      const name = line.replace(/^(\S+\s+){5}/, "").replace(/( -> | link to ).*/, "");
      return [name.replace(/^\.\//, "").replace(/\/$/, ""), owner] as const;
    }),
  );
}

able("what does not compress is kept as it is, until something does", async () => {
  for (const [script, type] of [
    ["head -c 5000000 /dev/urandom >/a", "application/vnd.oci.image.layer.v1.tar"],
    ["head -c 5000000 /dev/urandom >/a; seq 1000000 >/z", "application/vnd.oci.image.layer.v1.tar+gzip"],
    ["seq 1000000 >/a; head -c 5000000 /dev/urandom >/z", "application/vnd.oci.image.layer.v1.tar+gzip"],
  ]) {
    await after(script as string, async (box) => {
      ok(await box.tsbox("commit", "made", "mine:1"));
      const manifest = JSON.parse(readBlob(box, await inspect(box, "{{.Digest}}", "mine:1")));
      assert.is(manifest.layers.at(-1).mediaType, type);
      const [ran, committed] = ["made", "mine:1"];
      const sum = ["sh", "-c", "cat /a /z 2>/dev/null | sha256sum"];
      ok(await box.tsbox("export", "-o", join(box.dir, "root.tar"), ran));
      ok(await box.tsbox("import", join(box.dir, "root.tar"), "direct:1"));
      assert.is(
        ok(await box.tsbox("run", "--rm", committed, ...sum)),
        ok(await box.tsbox("run", "--rm", "direct:1", ...sum)),
      );
    });
  }
});

able("a running container is committed, and runs on", async () => {
  await using box = workspace();
  const script = "i=0; while :; do i=$((i+1)); echo $i >/count; echo $i >>/log; done";
  ok(await box.tsbox("run", "-d", "--name", "live", "base", "sh", "-c", script));
  for (const pause of ["--pause", "--pause=false", "--pause=false", "--pause=false"]) {
    ok(await box.tsbox("commit", pause, "live", "mine:1"));
    assert.is(await inspect(box, "{{.State.Status}}", "live"), "running");
    const { stdout } = await box.tsbox("run", "--rm", "mine:1", "sh", "-c", "cat /count; tail -n 1 /log");
    const lines = stdout.trim().split("\n").map(Number);
    // it stood between two commands, or where the first file was just made empty
    const [count, logged] = lines;
    if (pause === "--pause" && lines.length === 2) assert.ok(Math.abs(Number(count) - Number(logged)) <= 1, stdout);
  }
  ok(await box.tsbox("rm", "-f", "live"));
});

able("what cannot be committed is told", async () => {
  await using box = workspace();
  ok(await box.tsbox("run", "--name", "made", "base", "true"));
  ok(await box.tsbox("run", "--name", "hosted", "host", "true"));
  for (const [args, says] of [
    [["commit", "nothing"], 'Cannot find container "nothing"'],
    [["commit", "hosted", "x:1"], "made from no image"],
    [["commit", "-c", "RUN x", "made"], "RUN"],
    [["commit", "--format", "other", "made"], "expected oci, docker"],
  ] as [string[], string][]) {
    const result = await box.tsbox(...args);
    assert.is.not(result.code, 0);
    assert.ok(result.stderr.includes(says), result.stderr);
  }
});

test.run();
