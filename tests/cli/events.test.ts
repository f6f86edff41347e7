/** The journal: every kind of thing that happens to containers, images and volumes is told once. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

async function tsbox(...args: string[]) {
  const result = await box.tsbox(...args);
  assert.is(result.code, 0, `tsbox ${args.join(" ")}: ${result.stderr}`);
  return result;
}

interface Told {
  Type: string;
  Action: string;
  Actor: { ID: string; Attributes: Record<string, string> };
  timeNano: number;
}

/** What was told of one type, in order. */
async function told(type: string, ...filters: string[]): Promise<Told[]> {
  const flags = [`type=${type}`, ...filters].flatMap((filter) => ["--filter", filter]);
  const { stdout } = await tsbox("events", "--since", "1h", "--stream=false", "--format", "json", ...flags);
  return stdout
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Told);
}
const actions = async (type: string, ...filters: string[]) =>
  (await told(type, ...filters)).map(({ Action, Actor }) => `${Action} ${Actor.Attributes.name ?? Actor.ID}`);

test("images: import, tag, save, untag, load, build, commit, delete, prune", async () => {
  await tsbox("create", "--name", "root", "base", "true");
  const tar = join(box.dir, "root.tar");
  const saved = join(box.dir, "saved.tar");
  await tsbox("export", "-o", tar, "root");
  await tsbox("import", tar, "made");
  await tsbox("tag", "made", "other");
  await tsbox("save", "-o", saved, "other");
  await tsbox("untag", "made", "other");
  await tsbox("load", "-i", saved);
  writeFileSync(join(box.dir, "Dockerfile"), "FROM made\nLABEL a=b\n");
  await tsbox("build", "-t", "built", box.dir);
  await tsbox("commit", "-m", "why", "root", "kept");
  await tsbox("rmi", "built");
  await tsbox("image", "prune", "-f");
  const seen = (await actions("image")).filter((line) => !line.includes("/base:"));
  assert.equal(seen, [
    "import docker.io/library/made:latest",
    "tag docker.io/library/other:latest",
    "save docker.io/library/other:latest",
    "untag docker.io/library/other:latest",
    "load docker.io/library/other:latest",
    "build docker.io/library/built:latest",
    "tag docker.io/library/kept:latest",
    "untag built:latest",
    "delete built",
    "prune ",
  ]);
  const [prune] = await told("image", "event=prune");
  assert.match(prune?.Actor.Attributes.reclaimed ?? "", /^\d+$/);
  const [commit] = await told("container", "event=commit");
  assert.is(commit?.Actor.Attributes.comment, "why");
  assert.match(commit?.Actor.Attributes.imageID ?? "", /^sha256:/);
});

test("volumes: create by hand and by a container, destroy, prune", async () => {
  await tsbox("volume", "create", "-l", "k=v", "hand");
  await tsbox("run", "--name", "user", "-v", "named:/n", "-v", "/anonymous", "base", "true");
  await tsbox("rm", "-v", "user");
  await tsbox("volume", "rm", "hand");
  await tsbox("volume", "prune", "-f", "-a");
  const lines = (await actions("volume")).map((line) => line.replace(/[0-9a-f]{64}/, "ANON"));
  assert.equal(lines.slice(0, 5).sort(), [
    "create ANON",
    "create hand",
    "create named",
    "destroy ANON",
    "destroy hand",
  ]);
  assert.equal(lines.slice(5), ["destroy named", "prune "]);
  const [first] = await told("volume", "volume=hand");
  assert.equal({ ...first?.Actor.Attributes }, { k: "v", driver: "local" });
});

test("containers: copies, export, rename, update, pause, health", async () => {
  const flags = ["--health-cmd", "true", "--health-interval", "1s", "--name", "busy"];
  await tsbox("run", "-d", ...flags, "base", "sleep", "600");
  await tsbox("cp", "busy:/bin", join(box.dir, "bin"));
  await tsbox("cp", join(box.dir, "Dockerfile"), "busy:/");
  await until(async () => (await told("container", "event=health_status")).length > 0);
  await tsbox("update", "--restart", "no", "busy");
  await tsbox("pause", "busy");
  await tsbox("unpause", "busy");
  await tsbox("rename", "busy", "idle");
  // its monitor knows the new name from its next start on
  await tsbox("restart", "-t", "0", "idle");
  await tsbox("rm", "-f", "-t", "0", "idle");
  const seen = (await told("container", "container=busy")).map(({ Action }) => Action);
  for (const action of [
    "create",
    "start",
    "archive-path",
    "extract-to-dir",
    "health_status: healthy",
    "update",
    "pause",
    "unpause",
  ]) {
    assert.is(seen.filter((one) => one === action).length, 1, action);
  }
  const idle = (await told("container", "container=idle")).map(({ Action }) => Action);
  assert.equal(
    idle.filter((one) => /^(rename|die|destroy)$/.test(one)),
    ["rename", "die", "destroy"],
  );
});

test("--since and --until are moments: RFC 3339, seconds, or a time back", async () => {
  const all = await told("container");
  const middle = all[Math.floor(all.length / 2)]?.timeNano ?? 0;
  const at = new Date(middle / 1e6).toISOString();
  const count = async (...flags: string[]) => {
    const { stdout } = await tsbox(
      "events",
      "--stream=false",
      "-f",
      "type=container",
      "--format",
      "{{.timeNano}}",
      ...flags,
    );
    return stdout.split("\n").filter(Boolean).map(Number);
  };
  const before = await count("--until", at);
  const after = await count("--since", at);
  assert.ok(before.length > 0 && after.length > 0);
  assert.ok(before.every((time) => time <= middle + 1e6));
  assert.ok(after.every((time) => time >= middle - 1e6));
  assert.equal(await count("--since", "0s"), []);
  assert.is((await count("--since", "1h", "--filter", "scope=local")).length, all.length);
  assert.match((await box.tsbox("events", "--since", "yesterday")).stderr, /expected a time/);
  // a moment to come ends it
  const soon = String((Date.now() + 4000) / 1000);
  const following = tsbox("events", "--until", soon, "--format", "{{.Action}}", "-f", "event=tag");
  await until(async () => {
    await tsbox("tag", "made", "again");
    return Date.now() > Number(soon) * 1000 - 500;
  });
  assert.match((await following).stdout, /^tag\n/);
});

test.run();
