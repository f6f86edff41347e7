/** The stacking of layers, checked against trees that are made the slow way. */
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { ListedEntry } from "../../../runner/engine/explore/listing.ts";
import { pathBase64, pathText, typedPath } from "../../../runner/engine/explore/names.ts";
import { type Change, stackLayers } from "../../../runner/engine/explore/stack.ts";

const listed = (path: string, kind: ListedEntry["kind"], more: Partial<ListedEntry> = {}): ListedEntry => ({
  path,
  kind,
  mode: kind === "directory" ? 0o755 : 0o644,
  uid: 0,
  gid: 0,
  mtime: 0,
  size: 0,
  digest: kind === "file" ? `${path}${more.size ?? 0}` : "",
  link: "",
  xattrs: "",
  ...more,
});
const file = (path: string, size: number, more: Partial<ListedEntry> = {}) => listed(path, "file", { size, ...more });
const brief = ({ change, path, aspects }: Change) => [change, path, ...aspects].join(" ");
const changes = (layers: ListedEntry[][], number: number) => stackLayers(layers).layers[number]?.changes.map(brief);

test("a directory that is named again has not changed, one with other rights has", () => {
  const dir = listed("d", "directory");
  assert.equal(changes([[dir], [{ ...dir, mtime: 5 }]], 1), []);
  assert.equal(changes([[dir], [{ ...dir, mode: 0o700 }]], 1), ["changed d mode"]);
  assert.equal(changes([[dir], [{ ...dir, uid: 1, xattrs: "x" }]], 1), ["changed d owner attributes"]);
});

test("a file that becomes a directory, and back, is gone with all that was below", () => {
  const layers = [[file("a", 5)], [listed("a", "directory"), file("a/b", 7)], [file("a", 3)]];
  assert.equal(changes(layers, 1), ["changed a type mode", "added a/b"]);
  assert.equal(changes(layers, 2), ["changed a type mode", "removed a/b"]);
  assert.is(stackLayers(layers).wasted, 12);
});

test("a file in the way of another's parent is overwritten", () => {
  const layers = [[listed("lib", "symlink", { link: "usr/lib" })], [file("lib/x", 1)]];
  assert.equal(changes(layers, 1), ["removed lib", "added lib/x"]);
});

test("a whiteout takes away what is below, not what its own layer brings, wherever it stands", () => {
  const below = [listed("d", "directory"), file("d/old", 1), file("d/same", 2)];
  const whiteout = listed("d", "whiteout");
  const opaque = listed("d", "opaque");
  const own = [listed("d", "directory"), file("d/same", 2), file("d/new", 3)];
  const expected = ["added d/new", "removed d/old", "changed d/same"];
  for (const upper of [
    [whiteout, ...own],
    [...own, whiteout],
    [opaque, ...own],
    [...own, opaque],
  ]) {
    assert.equal(changes([below, upper], 1), expected);
  }
  assert.equal(changes([below, [listed("nothing", "whiteout")]], 1), []);
});

test("an entry that an archive has twice is wasted by its own layer", () => {
  const { wasted, stored, waste, layers } = stackLayers([[file("a", 4), file("a", 6)]]);
  assert.equal([wasted, stored], [4, 10]);
  assert.equal(waste[0]?.versions, [{ layer: 0, size: 4, by: 0, how: "overwritten" }]);
  assert.equal(layers[0]?.changes.map(brief), ["added a"]);
});

test("bytes of several names are wasted when the last one is gone, and the archive's order does not matter", () => {
  const base = [file("a", 9), listed("b", "hardlink", { link: "a" }), listed("lost", "hardlink", { link: "none" })];
  assert.is(stackLayers([base, [listed("a", "whiteout")]]).wasted, 0);
  assert.is(stackLayers([base, [listed("a", "whiteout")], [file("b", 1)]]).wasted, 9);
  assert.is(stackLayers([base, [listed("a", "whiteout"), listed("b", "whiteout")]]).wasted, 9);
  assert.is(stackLayers([base]).tree.get("b")?.size, 9);
  assert.is(stackLayers([base]).tree.get("lost")?.kind, "hardlink");
});

test("random layers: what the stack sees is what laying files over each other gives", () => {
  let seed = 7;
  const random = (n: number) => {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    return Math.floor((seed / 2147483648) * n);
  };
  const name = () => ["a", "b", "c"][random(3)] as string;
  for (let round = 0; round < 300; round++) {
    const layers: ListedEntry[][] = [];
    let tree = new Map<string, string>();
    let stored = 0;
    for (let number = 0; number < 4; number++) {
      const layer: ListedEntry[] = [];
      for (let i = 0; i < 4; i++) {
        const path = random(2) === 0 ? name() : `${name()}/${name()}`;
        const taken = layer.some(
          (e) => e.path === path || e.path.startsWith(`${path}/`) || path.startsWith(`${e.path}/`),
        );
        if (taken) continue;
        if (random(3) === 0) layer.push(listed(path, "whiteout"));
        else layer.push(file(path, random(9) + 1, { digest: `${round}.${number}.${i}` }));
      }
      layers.push(layer);
      const below = (path: string, other: string) => other === path || other.startsWith(`${path}/`);
      for (const { path, kind } of layer) {
        if (kind === "whiteout") tree = new Map([...tree].filter(([other]) => !below(path, other)));
      }
      for (const { path, kind, digest, size } of layer) {
        if (kind !== "file") continue;
        stored += size;
        tree = new Map([...tree].filter(([other]) => !below(path, other) && !below(other, path)));
        tree.set(path, `${digest} ${size}`);
      }
    }
    const stack = stackLayers(layers);
    const seen = [...stack.tree].map(([path, { digest, size }]) => `${path} ${digest} ${size}`).sort();
    assert.equal(seen, [...tree].map(([path, text]) => `${path} ${text}`).sort());
    const alive = [...stack.tree.values()].reduce((sum, { size }) => sum + size, 0);
    assert.equal([stack.stored, stack.wasted], [stored, stored - alive]);
    // going through the changes gives the same tree
    const replayed = new Set<string>();
    for (const { changes: all } of stack.layers) {
      for (const { path, change } of all) change === "removed" ? replayed.delete(path) : replayed.add(path);
    }
    assert.equal([...replayed].sort(), [...stack.tree.keys()].sort());
  }
});

test("names are text where they can be, and their bytes are kept where they cannot", () => {
  const bytes = (text: string) => Buffer.from(text).toString("latin1");
  assert.is(pathText("etc/passwd"), "etc/passwd");
  assert.is(pathText(bytes("größe/日本")), "größe/日本");
  assert.is(pathBase64(bytes("größe")), undefined);
  assert.is(pathText("caf\xe9"), "caf\\xe9");
  assert.is(Buffer.from(pathBase64("caf\xe9") ?? "", "base64").toString("latin1"), "caf\xe9");
  assert.is(pathText("\x1b[2J\n"), "\\x1b[2J\\x0a");
  // overlong, surrogate, cut off
  assert.is(pathText("\xc0\xaf\xed\xa0\x80\xe6\x97"), "\\xc0\\xaf\\xed\\xa0\\x80\\xe6\\x97");
  assert.is(pathText(bytes("\u202etxt.exe")), "\\u202etxt.exe");
  assert.is(typedPath("./etc//x/"), "etc//x");
  assert.is(typedPath("/größe"), bytes("größe"));
});

test.run();
