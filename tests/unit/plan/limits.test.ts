import { test } from "uvu";
import * as assert from "uvu/assert";
import { type Limits, limitConflict, limitSettings, processSetting } from "../../../runner/plan/limits.ts";

/** `file=value`, with `?` where it may be left out. */
const lines = (limits: Limits) =>
  limitSettings(limits).map(({ file, value, optional }) => `${file}${optional ? "?" : ""}=${value}`);

test("limitSettings() takes as much swap as memory where nothing is said of it, and does not insist on it", () => {
  assert.equal(lines({ memory: 1000 }), ["memory.max=1000", "memory.swap.max?=1000"]);
  assert.equal(lines({ memory: 1000, memorySwap: 1000 }), ["memory.max=1000", "memory.swap.max=0"]);
  assert.equal(lines({ memory: 1000, memorySwap: 3000 }), ["memory.max=1000", "memory.swap.max=2000"]);
  assert.equal(lines({ memory: 1000, memorySwap: -1 }), ["memory.max=1000", "memory.swap.max?=max"]);
});

test("limitSettings() puts weights of version 1 on the scale of version 2", () => {
  assert.equal(lines({ cpuShares: 2 }), ["cpu.weight=1"]);
  assert.equal(lines({ cpuShares: 1024 }), ["cpu.weight=39"]);
  assert.equal(lines({ cpuShares: 262_144 }), ["cpu.weight=10000"]);
  assert.equal(lines({ blkioWeight: 10 }), ["io.weight=default 1"]);
  assert.equal(lines({ blkioWeight: 1000 }), ["io.weight=default 10000"]);
});

test("limitSettings() says processors as time in a period", () => {
  assert.equal(lines({ cpus: 1.5 }), ["cpu.max=150000 100000"]);
  assert.equal(lines({ cpuQuota: 5000 }), ["cpu.max=5000 100000"]);
  assert.equal(lines({ cpuQuota: 5000, cpuPeriod: 10_000 }), ["cpu.max=5000 10000"]);
  assert.equal(lines({ cpuPeriod: 10_000 }), ["cpu.max=max 10000"]);
});

test("limitSettings() of 0 is no limit, which needs no file", () => {
  assert.equal(lines({ memory: 0, memoryReservation: 0, cpus: 0, cpuShares: 0, blkioWeight: 0 }), [
    "memory.max?=max",
    "memory.swap.max?=max",
    "memory.low?=0",
    "cpu.max?=max 100000",
    "cpu.weight?=100",
    "io.weight?=default 100",
  ]);
  assert.is(processSetting(0, true).value, "max");
  assert.is(processSetting(7, true).value, "7");
});

test("limitConflict() finds what cannot be meant", () => {
  assert.is(limitConflict({ memory: 10, memorySwap: 20, memoryReservation: 10, cpus: 1, cpuShares: 3 }), undefined);
  assert.is(limitConflict({ memory: 10, memorySwap: -1 }), undefined);
  assert.match(limitConflict({ memorySwap: 20 }) ?? "", /needs --memory/);
  assert.match(limitConflict({ memory: 10, memorySwap: 5 }) ?? "", /less than --memory/);
  assert.match(limitConflict({ memory: 10, memoryReservation: 11 }) ?? "", /more than --memory/);
  assert.match(limitConflict({ cpus: 1, cpuQuota: 3 }) ?? "", /use one/);
});

test.run();
