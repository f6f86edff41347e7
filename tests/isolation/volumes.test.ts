/** Volumes and cp: a container that swaps folders for links reads and writes nothing of the host's. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { need } from "../support/need.ts";
import { TSBOX, workspace } from "../support/tsbox.ts";
import { until } from "../support/until.ts";

const able = need("user-namespace", test);
const box = workspace();
test.after(() => box[Symbol.asyncDispose]());

const at = (path: string) => join(box.dir, path);
const victim = at("victim");
mkdirSync(victim);
writeFileSync(join(victim, "secret"), "of the host\n");
mkdirSync(at("in/d"), { recursive: true });
writeFileSync(at("in/d/evil"), "evil\n");
writeFileSync(at("in/evil"), "evil\n");

/** Swaps /data/d between a folder and a link to the victim's path, as fast as it can. */
const SWAP = `cd /data; mkdir real; echo decoy > real/secret; ln -s ${victim} link
while :; do mv real d; mv d real; mv link d; mv d link; done 2>/dev/null`;
const ROUNDS = 12;

able("cp from a container that swaps a folder for a link never reads the host's files", async () => {
  await box.tsbox("run", "-d", "--name", "swap", "-v", "swapped:/data", "base", "sh", "-c", SWAP);
  for (let round = 0; round < ROUNDS; round++) {
    const out = at(`out-${round}`);
    if ((await box.tsbox("cp", "swap:/data/d/secret", out)).code !== 0) continue;
    assert.is(readFileSync(out, "utf8"), "decoy\n");
  }
  for (let round = 0; round < 5; round++) {
    await box.tsbox("cp", "-L", "swap:/data/.", at(`tree-${round}`));
    const found = await box.program("grep", ["-rl", "of the host", at(`tree-${round}`)]);
    assert.is(found.stdout, "");
  }
});

able("cp into such a container never writes the host's files", async () => {
  for (let round = 0; round < ROUNDS; round++) {
    await box.tsbox("cp", at(round % 2 ? "in/evil" : "in/d"), "swap:/data/d/");
    await box.tsbox("cp", at("in/."), "swap:/data");
    assert.equal(readdirSync(victim), ["secret"]);
  }
  assert.is(readFileSync(join(victim, "secret"), "utf8"), "of the host\n");
  await box.tsbox("rm", "-f", "swap");
});

able("the same of a container that does not run", async () => {
  await box.tsbox("run", "--name", "ended", "base", "sh", "-c", `ln -s ${victim} /d; ln -s ../../../..${victim} /e`);
  for (const path of ["/d/secret", "/e/secret"]) {
    assert.is((await box.tsbox("cp", `ended:${path}`, at("leak"))).code, 1, path);
    assert.not.ok(existsSync(at("leak")));
  }
  for (const path of ["/d/", "/e/", "/d/x", "/e/x"]) {
    assert.is((await box.tsbox("cp", at("in/evil"), `ended:${path}`)).code, 1, path);
  }
  assert.equal(readdirSync(victim), ["secret"]);
});

able("cp goes through no door of /proc to what the helper has open", async () => {
  const open =
    "for n in 0 1 2 3 4 5 6 7 8 9; do ln -s /proc/self/fd/$n /l$n; done; ln -s /proc/self/cwd /cwd; echo ready; exec sleep 100";
  await box.tsbox("run", "-d", "--name", "doors", "base", "sh", "-c", open);
  await until(async () => (await box.tsbox("logs", "doors")).stdout === "ready\n");
  for (const link of ["cwd", "l0", "l1", "l2", "l3", "l4", "l5", "l6", "l7"]) {
    const read = await box.run(["cp", "-L", `doors:/${link}/secret`, at("leak")], { cwd: victim });
    assert.is.not(read.code, 0, link);
    await box.run(["cp", at("in/evil"), `doors:/${link}/`], { cwd: victim });
    assert.equal(readdirSync(victim), ["secret"], link);
  }
  await box.tsbox("rm", "-f", "doors");
});

able("an archive cannot place files outside of the folder it is extracted in", async () => {
  await box.tsbox("run", "--name", "target", "-v", "target:/v", "base", "true");
  for (const name of ["../evil", "/../../evil", "a/../../evil"]) {
    const tar = spawnSync("tar", ["-P", "-C", at("in"), "--transform", `s,^evil$,${name},`, "-c", "evil"]).stdout;
    await box.run(["cp", "-", "target:/v"], { input: tar });
    await box.run(["volume", "import", "target"], { input: tar });
  }
  mkdirSync(at("links"), { recursive: true });
  symlinkSync(victim, at("links/evil"));
  const link = spawnSync("tar", ["-C", at("links"), "-c", "evil"]).stdout;
  const below = spawnSync("tar", ["-C", at("in"), "--transform", "s,^evil$,evil/x,", "-c", "evil"]).stdout;
  await box.run(["volume", "import", "target"], { input: link });
  await box.run(["volume", "import", "target"], { input: below });
  assert.equal(readdirSync(victim), ["secret"]);
  assert.not.ok(existsSync(at("store/volumes/target/evil")));
  assert.not.ok(existsSync(at("store/volumes/evil")));
});

able("a part of a volume is looked for in the volume, whatever links a container left there", async () => {
  await box.tsbox(
    "run",
    "--rm",
    "-v",
    "parts:/v",
    "base",
    "sh",
    "-c",
    `ln -s ${victim} /v/out; ln -s ../../../../.. /v/up`,
  );
  for (const path of ["out", `up${victim}`, "up"]) {
    const flag = `type=volume,src=parts,dst=/p,volume-subpath=${path}`;
    const { stdout } = await box.tsbox(
      "run",
      "--rm",
      "--mount",
      flag,
      "base",
      "sh",
      "-c",
      "cat /p/secret; ls /p/home /p/proc",
    );
    assert.not.match(stdout, /of the host|dev|cpuinfo/, path);
  }
});

able("a fresh volume is filled from the image, not from where the image's links point on the host", async () => {
  const root = at("root");
  mkdirSync(join(root, "etc"), { recursive: true });
  symlinkSync(victim, join(root, "place"));
  await box.tsbox("run", "--rm", "--rootfs", root, "-v", "filled:/place", "x");
  await box.tsbox("run", "--rm", "--rootfs", root, "-v", "filled2:/place/..", "x");
  for (const name of ["filled", "filled2"]) {
    const data = at(`store/volumes/${name}/data`);
    if (existsSync(data)) assert.not.ok(existsSync(join(data, "secret")), name);
  }
  assert.equal(readdirSync(victim), ["secret"]);
});

able("exec -w into a folder that is swapped for a door of /proc sees nothing of the host", async () => {
  const swap =
    "mkdir /real; ln -s /proc/self/cwd /door; while :; do mv /real /w; mv /w /real; mv /door /w; mv /w /door; done 2>/dev/null";
  await box.tsbox("run", "-d", "--name", "worker", "base", "sh", "-c", swap);
  for (let round = 0; round < ROUNDS; round++) {
    const { stdout } = await box.run(["exec", "-w", "/w", "worker", "ls"], { cwd: victim });
    assert.not.match(stdout, /secret/);
  }
  await box.tsbox("rm", "-f", "worker");
});

need("subids", able)("mounts go where the propagation of -v says, and never out", async () => {
  // an ordinary user mounts nothing on the host: a user namespace around all stands for it
  const script = `set -e; mount --make-rshared /; mkdir -p host; mount -t tmpfs x host; mkdir host/late
for p in rprivate rslave rshared; do
  "$TSBOX" run -d --name $p --privileged -v "$PWD/host:/m:$p" base sleep 600 >/dev/null
done
mount -t tmpfs y host/late; echo word > host/late/f
for p in rprivate rslave rshared; do
  echo "$p sees $("$TSBOX" exec $p cat /m/late/f 2>/dev/null)"
  "$TSBOX" exec --privileged $p sh -c "mkdir /m/in-$p; mount -t tmpfs z /m/in-$p; echo x > /m/in-$p/secret; cat /m/in-$p/secret"
  ls host/in-$p
done
grep -c host/in- /proc/self/mountinfo || true
"$TSBOX" rm -fa -t0 >/dev/null`;
  const root = at("inner-store");
  const { stdout, stderr } = await box.run(["unshare", "sh", "-c", script], {
    cwd: box.dir,
    env: { TSBOX, TSBOX_ROOT: root },
  });
  assert.is(stdout, "rprivate sees \nx\nrslave sees word\nx\nrshared sees word\nx\n0\n", stderr);
});

test.run();
