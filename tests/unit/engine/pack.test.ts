/** `apply` after `pack` is the identity: random changes on the kernel's overlay, packed, unpacked over the same layers, and seen to be the same. */

import { closeSync, linkSync, mkdirSync, mkdtempSync, openSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { adoptLayer } from "../../../runner/engine/adopt-layer.ts";
import { type Engine, openEngine } from "../../../runner/engine/engine.ts";
import { packLayer } from "../../../runner/engine/pack-layer.ts";
import { removeTrees } from "../../../runner/engine/remove-trees.ts";
import { unpackOne } from "../../../runner/engine/unpack-image.ts";
import { EVENTS_FD, startHelper } from "../../../runner/helper/client.ts";
import { chainIDs } from "../../../runner/oci/chain.ts";
import type { Digest } from "../../../runner/oci/types.ts";
import { storePlan } from "../../../runner/plan/build.ts";
import { blobStream } from "../../../runner/store/blob-store.ts";
import { layerRoot } from "../../../runner/store/layer-store.ts";
import { storeLayout } from "../../../runner/store/layout.ts";
import { need } from "../../support/need.ts";

const able = need(["user-namespace", "overlay-userxattr", "not-root", "subids"], test);
const support = (name: string) => new URL(`../../support/${name}`, import.meta.url).pathname;

/** A store of its own, and folders for overlays. */
async function inStore(use: (engine: Engine, folder: (name: string) => string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "tsbox-test-"));
  const engine = openEngine({ root: join(dir, "store") });
  const folder = (name: string) => {
    mkdirSync(join(dir, name), { recursive: true });
    return join(dir, name);
  };
  try {
    await use(engine, folder);
  } finally {
    await removeTrees(engine, [dir], engine.identity());
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Runs one of our programs where the overlay is mounted, on it. Without `upper` it can only be read. */
async function onOverlay(
  engine: Engine,
  place: { target: string; lowers: string[]; upper?: string; work?: string },
  program: string,
  ...words: string[]
): Promise<string> {
  const { target, lowers, upper = "", work = "" } = place;
  const flags = upper === "" ? ["userxattr", "ro"] : ["userxattr"];
  const argv = [process.execPath, "--import", "tsx", support(program), target, ...words];
  const plan = storePlan(
    engine.identity(),
    [
      { op: "private-mounts" },
      { op: "overlay", target, upper, work, flags, lowers },
      { op: "cwd", path: process.cwd() },
      { op: "env", variables: [`PATH=${process.env.PATH}`] },
      { op: "exec", argv },
    ],
    EVENTS_FD,
  );
  const run = startHelper(plan, ["ignore", "pipe", "pipe"]);
  const output = text(run.stdout as Readable);
  const result = await run.done;
  assert.is(result.code, 0, result.stderr);
  return output;
}

const SEED = Number(process.env.TSBOX_TEST_SEED ?? 0) || 1 + (Date.now() % 1_000_000);

able(`random changes, packed and unpacked again, give the same tree (seed ${SEED})`, () =>
  inStore(async (engine, folder) => {
    const layout = storeLayout(engine.root);
    const identity = engine.identity();
    const diffIDs: Digest[] = [];
    let lowers: string[] = [];
    for (let layer = 0; layer < 5; layer++) {
      const place = {
        target: folder(`target${layer}`),
        upper: folder(`upper${layer}`),
        work: folder(`work${layer}`),
        lowers: lowers.length > 0 ? lowers : [folder("empty")],
      };
      const what = `layer ${layer}, TSBOX_TEST_SEED=${SEED}`;
      await onOverlay(engine, place, "change-tree.ts", String(SEED + layer), "120");
      const seen = (top: string[]) =>
        onOverlay(
          engine,
          { target: place.target, lowers: [...top, folder("empty"), folder("empty2")] },
          "list-merged.ts",
        );
      const wanted = await seen([place.upper, ...lowers]);

      const packed = await packLayer(engine, { upper: place.upper, lowers, identity });
      const again = await packLayer(engine, { upper: place.upper, lowers, identity });
      assert.is(again.digest, packed.digest, `${what}: twice the same bytes`);
      diffIDs.push(packed.diffID);
      const chainID = chainIDs(diffIDs).at(-1) as Digest;
      const source = blobStream(layout, packed.digest);
      assert.is(await unpackOne(engine, identity, source, lowers, { diffID: packed.diffID, chainID }), packed.diffID);
      const root = layerRoot(layout, identity.key, chainID);
      same(await seen([root, ...lowers]), wanted, `${what}: unpacked`);

      const repacked = await packLayer(engine, { upper: root, lowers, identity });
      assert.is(repacked.diffID, packed.diffID, `${what}: what was unpacked packs to the same`);

      const other = openEngine({ root: folder(`adopting${layer}`) });
      const adopted = await adoptLayer(other, {
        upper: place.upper,
        lowers,
        packed,
        parents: diffIDs.slice(0, -1),
        identity,
      });
      assert.ok(adopted, `${what}: adopted`);
      same(
        await seen([layerRoot(storeLayout(other.root), identity.key, chainID), ...lowers]),
        wanted,
        `${what}: adopted`,
      );
      lowers = [root, ...lowers];
    }
  }),
);

able("a hundred thousand entries are packed and unpacked again", () =>
  inStore(async (engine, folder) => {
    const layout = storeLayout(engine.root);
    const identity = engine.identity();
    const upper = folder("upper");
    for (let i = 0; i < 1000; i++) {
      const below = join(upper, `d${i}`);
      mkdirSync(below);
      for (let k = 0; k < 99; k++) {
        if (k === 0) closeSync(openSync(join(below, "0"), "w"));
        else if (k % 4 === 0) symlinkSync("target", join(below, `${k}`));
        else linkSync(join(below, "0"), join(below, `${k}`));
      }
    }
    const packed = await packLayer(engine, { upper, lowers: [], identity });
    assert.is(packed.entries, 100_000);
    const diffID = await unpackOne(engine, identity, blobStream(layout, packed.digest), [], { diffID: packed.diffID });
    const root = layerRoot(layout, identity.key, diffID);
    assert.is((await packLayer(engine, { upper: root, lowers: [], identity })).diffID, packed.diffID);
  }),
);

/** The first difference, not two listings. */
function same(got: string, wanted: string, what: string): void {
  const wantedLines = wanted.split("\n");
  const gotLines = got.split("\n");
  const at = wantedLines.findIndex((line, number) => line !== gotLines[number]);
  if (at >= 0) assert.is(gotLines[at], wantedLines[at], what);
  assert.is(gotLines.length, wantedLines.length, what);
}

test.run();
