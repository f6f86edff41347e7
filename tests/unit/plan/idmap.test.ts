import { test } from "uvu";
import * as assert from "uvu/assert";
import { isMapped, makeIdentity, mappedSubids, parseSubids } from "../../../runner/plan/idmap.ts";

const tools = { uid: "/usr/bin/newuidmap", gid: "/usr/bin/newgidmap" };
const range = [{ start: 100000, count: 65536 }];

test("makeIdentity() maps root to the caller and the rest to the subordinate range", () => {
  const identity = makeIdentity({ uid: 1000, gid: 1000, subuid: range, subgid: range, mapTools: tools });
  assert.is(identity.kind, "range");
  assert.equal(identity.uidMap, [
    { inside: 0, outside: 1000, count: 1 },
    { inside: 1, outside: 100000, count: 65536 },
  ]);
  assert.equal(identity.mapTools, tools);
});

test("makeIdentity() falls back to one id without a range or without newuidmap", () => {
  for (const facts of [
    { uid: 1000, gid: 100, subuid: [], subgid: [], mapTools: tools },
    { uid: 1000, gid: 100, subuid: range, subgid: range },
  ]) {
    const identity = makeIdentity(facts);
    assert.is(identity.kind, "single");
    assert.equal(identity.gidMap, [{ inside: 0, outside: 100, count: 1 }]);
    assert.is(identity.mapTools, undefined);
  }
});

test("makeIdentity() with keep-id puts the caller at its own id and fills the places around it", () => {
  const identity = makeIdentity({ uid: 1000, gid: 1000, subuid: range, subgid: range, mapTools: tools }, {});
  assert.equal(identity.uidMap, [
    { inside: 0, outside: 100000, count: 1000 },
    { inside: 1000, outside: 1000, count: 1 },
    { inside: 1001, outside: 101000, count: 64536 },
  ]);
  assert.is.not(
    identity.key,
    makeIdentity({ uid: 1000, gid: 1000, subuid: range, subgid: range, mapTools: tools }).key,
  );
});

test("makeIdentity() joins several subordinate ranges", () => {
  const identity = makeIdentity(
    {
      uid: 7,
      gid: 7,
      subuid: [
        { start: 100, count: 2 },
        { start: 200, count: 5 },
      ],
      subgid: range,
      mapTools: tools,
    },
    { uid: 3 },
  );
  assert.equal(identity.uidMap, [
    { inside: 0, outside: 100, count: 2 },
    { inside: 2, outside: 200, count: 1 },
    { inside: 3, outside: 7, count: 1 },
    { inside: 4, outside: 201, count: 4 },
  ]);
});

test("parseSubids() finds lines by name and by number and skips what is malformed", () => {
  const text = "dev:100000:65536\n# comment\nother:1:2\n1001:300000:10\ndev:x:1\ndev:5:0\n";
  assert.equal(parseSubids(text, "dev", 1001), [
    { start: 100000, count: 65536 },
    { start: 300000, count: 10 },
  ]);
});

test("isMapped() knows the ends of a range", () => {
  const map = [{ inside: 5, outside: 1, count: 2 }];
  assert.equal(
    [4, 5, 6, 7].map((id) => isMapped(map, id)),
    [false, true, true, false],
  );
});

test("mappedSubids() keeps what of a range exists in the user namespace around", () => {
  const granted = [{ start: 100_000, count: 65_536 }];
  assert.equal(mappedSubids(granted, "         0          0 4294967295\n"), granted);
  assert.equal(mappedSubids(granted, ""), granted);
  assert.equal(mappedSubids(granted, "1001 1001 1\n"), []);
  assert.equal(mappedSubids(granted, "0 1001 1\n1 100000 120000\n"), [{ start: 100_000, count: 20_001 }]);
  assert.equal(mappedSubids(granted, "0 0 100010\n100100 300000 5\n"), [
    { start: 100_000, count: 10 },
    { start: 100_100, count: 5 },
  ]);
});

test.run();
