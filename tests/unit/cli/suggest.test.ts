import { test } from "uvu";
import * as assert from "uvu/assert";
import { editDistance, nearest } from "../../../runner/cli/suggest.ts";

test("editDistance() counts letters and swaps", () => {
  assert.is(editDistance("run", "run"), 0);
  assert.is(editDistance("rnu", "run"), 1);
  assert.is(editDistance("", "abc"), 3);
  assert.is(editDistance("kitten", "sitting"), 3);
});

test("nearest() finds slips and nothing else", () => {
  const verbs = ["run", "rm", "rmi", "ps", "pull", "images", "inspect"];
  assert.is(nearest("rnu", verbs), "run");
  assert.is(nearest("image", verbs), "images");
  assert.is(nearest("inspct", verbs), "inspect");
  assert.is(nearest("PULL", verbs), "pull");
  assert.is(nearest("jsn", ["js", "json"]), "json");
  assert.is(nearest("publish", verbs), undefined);
  assert.is(nearest("", verbs), undefined);
});

test.run();
