/** Whatever is being put into the store may be killed at any moment: half an image is none, and the next attempt succeeds. */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { fakeRegistry, noise } from "../support/fake-registry.ts";
import { need } from "../support/need.ts";
import { folder, ociParts, tarOf } from "../support/oci.ts";
import { leftovers, orphans, storeProblems } from "../support/store.ts";
import { type Workspace, workspace } from "../support/tsbox.ts";
import { archive, entry } from "../unit/layers/archives.ts";

const able = need(["user-namespace", "not-root"], test);
const KILLS = 5;

/** Many files, so that unpacking takes a while, and one large one. */
function layer(seed: string): Buffer {
  const files = Array.from({ length: 1500 }, (_, i) => entry({ name: `${seed}/${i}` }, `${seed} ${i}`));
  return archive(folder(seed), ...files, entry({ name: `${seed}/large` }, noise(3 << 20)));
}

/** Kills the verb at moments that are spread over the time it takes, and looks at the store after each. */
async function survivesKills(box: Workspace, args: string[], name: string): Promise<void> {
  const began = performance.now();
  await using measured = workspace();
  assert.is((await measured.run(args)).code, 0);
  let takes = performance.now() - began;
  const store = box.env.TSBOX_ROOT as string;
  let killed = 0;
  for (let number = 0; number < KILLS; number++) {
    const child = box.start(args, { stdio: "ignore" });
    const ended = new Promise<NodeJS.Signals | null>((resolve) => child.once("exit", (_, signal) => resolve(signal)));
    await sleep(takes * ((number + Math.random()) / KILLS));
    child.kill("SIGKILL");
    if ((await ended) === "SIGKILL") {
      killed++;
    } else {
      // the first, which was measured, was slow; what is there already would not be made again
      takes /= 2;
      await box.tsbox("rmi", name);
    }
    assert.equal(storeProblems(store), []);
    const listed = await box.tsbox("images", "-q");
    assert.is(listed.code, 0, listed.stderr);
    if (listed.stdout === "") {
      const refused = await box.tsbox("run", "--rm", "--pull", "never", name, "/none");
      assert.is(refused.code, 125);
      assert.match(refused.stderr, /not in the store/);
    }
  }
  assert.ok(killed > 0, "every attempt was faster than its killer");
  const last = await box.run(args);
  assert.is(last.code, 0, last.stderr);
  assert.equal(storeProblems(store), []);
  // an import's configuration has its moment in it: what a killed one has left is nobody's, until a prune
  if (args[0] === "import") assert.is((await box.tsbox("image", "prune", "-f")).code, 0);
  assert.equal(orphans(store), []);
  // the helpers of killed attempts may take a moment to see that nobody reads them any more
  for (let wait = 0; wait < 50 && leftovers(store).length > 0; wait++) {
    await sleep(50);
    assert.is((await box.run(args)).code, 0);
  }
  assert.equal(leftovers(store), []);
  const layers = join(store, "layers");
  const [key = ""] = readdirSync(layers);
  assert.ok(readdirSync(join(layers, key)).length > 0);
  const listed = await box.tsbox("unshare", "sh", "-c", `find ${layers}/*/*/root -type f | wc -l`);
  assert.is(Number(listed.stdout) % 1501, 0, "a layer lacks files");
}

able("a load that is killed leaves no half image", async () => {
  await using box = workspace();
  const path = join(box.dir, "image.tar");
  writeFileSync(path, tarOf(ociParts([layer("one"), layer("two")], "killed:1").files));
  await survivesKills(box, ["load", "-q", "-i", path], "killed:1");
});

able("an import that is killed leaves no half image", async () => {
  await using box = workspace();
  const path = join(box.dir, "root.tar.gz");
  writeFileSync(path, gzipSync(layer("one"), { level: 1 }));
  await survivesKills(box, ["import", path, "killed:1"], "killed:1");
});

able("a pull that is killed leaves no half image", async () => {
  await using box = workspace();
  await using registry = await fakeRegistry();
  const layers = ["one", "two"].map((seed) =>
    Object.fromEntries([
      ...Array.from({ length: 1500 }, (_, i) => [`${seed}-${i}`, `${seed} ${i}`]),
      [`${seed}-large`, noise(3 << 20)],
    ]),
  );
  await registry.add("killed", "1", layers);
  const name = `${registry.host}/killed:1`;
  await survivesKills(box, ["pull", "-q", name], name);
});

for (const verb of [
  ["rmi", "-a"],
  ["system", "prune", "-af"],
]) {
  able(`${verb.join(" ")} that is killed leaves images whole or gone`, async () => {
    await using box = workspace();
    const store = box.env.TSBOX_ROOT as string;
    const path = join(box.dir, "images.tar");
    // the two have a layer in common
    const first = ociParts([layer("one")], "first:1").files;
    writeFileSync(path, tarOf(first));
    const other = join(box.dir, "other.tar");
    writeFileSync(other, tarOf(ociParts([layer("one"), layer("two")], "second:1").files));
    for (let number = 0; number < KILLS; number++) {
      for (const archive of [path, other]) assert.is((await box.tsbox("load", "-q", "-i", archive)).code, 0);
      const child = box.start(verb, { stdio: "ignore" });
      const ended = new Promise((resolve) => child.once("exit", resolve));
      await sleep(40 + Math.random() * 120);
      child.kill("SIGKILL");
      await ended;
      assert.equal(storeProblems(store), []);
      const check = await box.tsbox("system", "check");
      assert.is(check.code, 0, check.stdout);
    }
    assert.is((await box.tsbox("system", "prune", "-af")).code, 0);
    // the helpers of killed attempts may take a moment to see that nobody reads them any more
    for (let wait = 0; wait < 50 && leftovers(store).length > 0; wait++) {
      await sleep(50);
      await box.tsbox("system", "prune", "-af");
    }
    assert.equal([orphans(store), leftovers(store)], [[], []]);
    assert.equal(
      readdirSync(join(store, "layers")).flatMap((key) =>
        readdirSync(join(store, "layers", key)).filter((name) => name.length === 64),
      ),
      [],
    );
  });
}

test.run();
