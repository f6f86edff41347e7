import { test } from "uvu";
import * as assert from "uvu/assert";
import { ALL_CAPABILITIES, capabilityMask, capabilityNames } from "../../../runner/plan/capabilities.ts";

test("capabilityMask() is Docker's default set when nothing is asked", () => {
  assert.is(capabilityMask([], []).toString(16), "a80425fb");
});

test("capabilityMask() adds and drops by name and by ALL, a named add surviving a drop of ALL", () => {
  assert.equal(capabilityNames(capabilityMask(["CAP_NET_ADMIN"], ["ALL"])), ["CAP_NET_ADMIN"]);
  assert.is(capabilityMask(["ALL"], []), ALL_CAPABILITIES);
  assert.is.not(capabilityNames(capabilityMask(["ALL"], ["CAP_CHOWN"])).includes("CAP_CHOWN"), true);
});

test("capabilityMask() refuses names that do not exist", () => {
  assert.throws(() => capabilityMask(["CAP_FLY"], []), /Cannot use capability "CAP_FLY"/);
});

test.run();
