import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseMoment } from "../../../runner/cli/moment.ts";
import { ago, goTime, humanDuration, humanSize, parseBytes, parseDuration } from "../../../runner/cli/units.ts";

test("durations are read in docker's forms", () => {
  const cases: [string, number][] = [
    ["10", 10_000],
    ["0", 0],
    ["1.5", 1500],
    ["10s", 10_000],
    ["1m30s", 90_000],
    ["1.5h", 5_400_000],
    ["250ms", 250],
    ["2d", 172_800_000],
    ["1h2m3s4ms", 3_723_004],
  ];
  for (const [text, expected] of cases) assert.is(parseDuration(text), expected, text);
  for (const text of ["", "s", "10x", "-1", "1m 30s", "10s5"])
    assert.throws(() => parseDuration(text), /expected a duration/, text);
});

test("sizes are read as powers of 1024", () => {
  const cases: [string, number][] = [
    ["100", 100],
    ["100b", 100],
    ["512k", 524_288],
    ["64m", 67_108_864],
    ["64MB", 67_108_864],
    ["1GiB", 1_073_741_824],
    ["1.5g", 1_610_612_736],
    ["0", 0],
  ];
  for (const [text, expected] of cases) assert.is(parseBytes(text), expected, text);
  for (const text of ["", "m", "1x", "-1m", "1e3", "99999p"])
    assert.throws(() => parseBytes(text), /expected a size/, text);
});

test("sizes are shown as docker shows them", () => {
  const cases: [number, string][] = [
    [0, "0B"],
    [999, "999B"],
    [1000, "1kB"],
    [4_270_123, "4.27MB"],
    [133_000, "133kB"],
    [1_230_000_000, "1.23GB"],
    [999_700_000, "1000MB"],
  ];
  for (const [bytes, expected] of cases) assert.is(humanSize(bytes), expected);
});

test("times are rounded as docker rounds them", () => {
  const s = 1000;
  const m = 60 * s;
  const h = 60 * m;
  const d = 24 * h;
  const cases: [number, string][] = [
    [-5, "Less than a second"],
    [999, "Less than a second"],
    [s, "1 second"],
    [59 * s, "59 seconds"],
    [m, "About a minute"],
    [2 * m, "2 minutes"],
    [59 * m, "59 minutes"],
    [h, "About an hour"],
    [2 * h, "2 hours"],
    [47 * h, "47 hours"],
    [3 * d, "3 days"],
    [14 * d, "2 weeks"],
    [70 * d, "2 months"],
    [800 * d, "2 years"],
  ];
  for (const [time, expected] of cases) assert.is(humanDuration(time), expected);
  assert.is(ago(0, 3 * m), "3 minutes ago");
  assert.is(ago(undefined, 0), "N/A");
  assert.is(ago(new Date("nonsense"), 0), "N/A");
});

test("goTime() has the shape of Go's", () => {
  assert.match(goTime(new Date(0)), /^19(70-01-01|69-12-31) \d\d:00:00 [+-]\d{4} \S+$/);
});

test("moments are absolute or back from now", () => {
  const now = Date.parse("2024-05-01T12:00:00Z");
  assert.is(parseMoment("2024-05-01T10:00:00Z", now), Date.parse("2024-05-01T10:00:00Z"));
  assert.is(parseMoment("2024-05-01 10:00:00Z", now), Date.parse("2024-05-01T10:00:00Z"));
  assert.is(parseMoment("2024-05-01", now), Date.parse("2024-05-01T00:00:00"));
  assert.is(parseMoment("1714557600", now), 1_714_557_600_000);
  assert.is(parseMoment("10m", now), now - 600_000);
  for (const text of ["yesterday", "", "2024", "2024-13-99"]) {
    if (text === "2024") assert.is(parseMoment(text, now), now - 2_024_000);
    else assert.throws(() => parseMoment(text, now), /expected a time/, text);
  }
});

test.run();
