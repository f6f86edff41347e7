import { test } from "uvu";
import * as assert from "uvu/assert";
import { layerLine } from "../../../runner/cli/progress/bars.ts";
import { Speed } from "../../../runner/cli/progress/speed.ts";
import {
  type Progress,
  type ProgressMode,
  type ProgressPrinter,
  progressPrinter,
} from "../../../runner/cli/progress.ts";

const digest = (digit: string) => `sha256:${digit.repeat(64)}`;
const layer = digest("4");

interface Recorded {
  printer: ProgressPrinter;
  progress: Progress;
  text(): string;
  pass(milliseconds: number): void;
  resize(columns: number, rows: number): void;
}

function record(mode: ProgressMode, isTTY = mode === "tty", quiet = false, env = {}): Recorded {
  let text = "";
  let time = Date.UTC(2024, 0, 1);
  const stderr = { isTTY, columns: 60, rows: 24, write: (part: string | Uint8Array) => (text += part) };
  const printer = progressPrinter({ stderr, env, now: () => time }, { progress: mode, quiet });
  return {
    printer,
    progress: printer.start("app:1"),
    text: () => text,
    pass: (milliseconds) => {
      time += milliseconds;
    },
    resize: (columns, rows) => Object.assign(stderr, { columns, rows }),
  };
}

/** What a terminal shows in the end: cursor up, erase to the right and below, line feed; lines that are too wide wrap. */
function screen(text: string, columns: number): string[] {
  const rows: string[] = [""];
  let row = 0;
  let column = 0;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal's language
  for (const [part, up] of text.matchAll(/\x1b\[(\d+)A|\x1b\[K|\x1b\[J|\r|\n|[^\x1b\r\n]/g)) {
    if (up !== undefined) row = Math.max(0, row - Number(up));
    else if (part === "\x1b[K") rows[row] = (rows[row] ?? "").slice(0, column);
    else if (part === "\x1b[J") {
      rows.length = row + 1;
      rows[row] = (rows[row] ?? "").slice(0, column);
    } else if (part === "\r") column = 0;
    else if (part === "\n") {
      row++;
      column = 0;
      rows[row] ??= "";
    } else {
      if (column === columns) {
        row++;
        column = 0;
      }
      const line = (rows[row] ?? "").padEnd(column);
      rows[row] = line.slice(0, column) + part + line.slice(column + 1);
      column++;
    }
  }
  return rows.filter((line, i) => line !== "" || i < rows.length - 1);
}

test("off a terminal each phase is one line, and a long transfer gives a sign of life", () => {
  const { progress, text, pass } = record("auto", false);
  progress.update({ layer, phase: "waiting", total: 1_200_000 });
  for (const current of [0, 500, 1000]) progress.update({ layer, phase: "downloading", current, total: 1_200_000 });
  pass(10_000);
  progress.update({ layer, phase: "downloading", current: 600_000, total: 1_200_000 });
  progress.update({ layer, phase: "unpacking", current: 1, total: 1_200_000 });
  progress.update({ layer, phase: "done" });
  progress.update({ layer: digest("5"), phase: "exists", total: 7 });
  progress.end();
  assert.is(
    text(),
    "444444444444: downloading 1.2MB\n444444444444: downloading 600kB of 1.2MB\n444444444444: extracting\n" +
      "444444444444: pull complete\n555555555555: already here\n",
  );
});

test("a terminal that can only print lines gets lines", () => {
  const { progress, text } = record("auto", true, false, { TERM: "dumb" });
  progress.update({ layer, phase: "done" });
  progress.end();
  assert.is(text(), "444444444444: pull complete\n");
});

test("for programs each event is a JSON object, phases and ends always, moves four times a second", () => {
  const { progress, text, pass } = record("json");
  progress.update({ layer, phase: "waiting", total: 100 });
  progress.update({ layer, phase: "downloading", current: 1, total: 100 });
  progress.update({ layer, phase: "downloading", current: 2, total: 100 });
  pass(300);
  progress.update({ layer, phase: "downloading", current: 3, total: 100 });
  progress.update({ layer, phase: "downloading", current: 100, total: 100 });
  progress.update({ layer, phase: "done" });
  progress.end();
  const lines = text()
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));
  assert.equal(
    lines.map(({ phase, current }) => [phase, current]),
    [
      ["waiting", undefined],
      ["downloading", 1],
      ["downloading", 3],
      ["downloading", 100],
      ["done", undefined],
    ],
  );
  assert.equal(lines[1], {
    time: "2024-01-01T00:00:00.000Z",
    image: "app:1",
    layer,
    phase: "downloading",
    current: 1,
    total: 100,
  });
});

test("quiet and none are silent", () => {
  for (const { progress, text } of [record("tty", true, true), record("none")]) {
    progress.update({ layer, phase: "done" });
    progress.end();
    assert.is(text(), "");
  }
});

test("on a terminal the lines are drawn over, with speed, time left and a sum", () => {
  const { progress, text, pass } = record("tty");
  progress.update({ layer, phase: "downloading", current: 0, total: 10_000 });
  progress.update({ layer, phase: "downloading", current: 10, total: 10_000 });
  assert.is(text().split("\n").length, 2, "not drawn again at once");
  pass(1000);
  progress.update({ layer, phase: "downloading", current: 2000, total: 10_000 });
  assert.equal(screen(text(), 60), ["444444444444 downloading [==>           ] 2kB/10kB 2kB/s 4s"]);
  progress.update({ layer: digest("5"), phase: "exists", total: 3000 });
  assert.equal(screen(text(), 60), [
    "444444444444 downloading [==>           ] 2kB/10kB 2kB/s 4s",
    "555555555555 already here 3kB",
    "1 of 2 layers, 5kB of 13kB, 2kB/s, 4s left",
  ]);
  progress.update({ layer, phase: "unpacking", current: 5000, total: 10_000 });
  progress.update({ layer, phase: "done", total: 10_000 });
  progress.end();
  assert.equal(screen(text(), 60), [
    "444444444444 pull complete",
    "555555555555 already here 3kB",
    "2 of 2 layers, 13kB of 13kB",
  ]);
});

test("what was there when it began counts as bytes and not as speed", () => {
  const speed = new Speed();
  speed.add(1_000_000, 0);
  assert.is(speed.at(100), undefined);
  speed.add(1_001_000, 1000);
  assert.is(speed.at(1000), 1000);
  for (let second = 2; second < 20; second++) speed.add(1_001_000, second * 1000);
  assert.is(speed.at(20_000), 0);
});

test("no line is as wide as the terminal, whatever the numbers", () => {
  for (const columns of [10, 20, 30, 40, 60, 80, 200, 300]) {
    for (const current of [0, 50, 123_456_789, 999_999_999_999]) {
      for (const speed of [undefined, 0, 1, 123_456_789]) {
        const line = layerLine({ layer, phase: "downloading", current, total: 987_654_321 }, columns, speed);
        assert.ok(line.length < columns, `${columns}: ${line}`);
      }
    }
  }
  const at = (columns: number) =>
    layerLine({ layer, phase: "downloading", current: 12_300_000, total: 45_600_000 }, columns, 3_000_000);
  assert.is(at(30), "444444444444 26% 12.3MB/45.6MB".slice(0, 29));
  assert.is(at(40), "444444444444 downloading 12.3MB/45.6MB");
  assert.match(at(60), /^444444444444 downloading \[=+> +\] 12\.3MB\/45\.6MB 3MB\/s 12s$/);
  assert.match(at(80), /^444444444444 downloading \[=+> +\] 12\.3MB\/45\.6MB 3MB\/s 12s$/);
  assert.match(at(200), /^444444444444 downloading \[={13}> {36}\] 12\.3MB\/45\.6MB 3MB\/s 12s$/);
  assert.match(layerLine({ layer, phase: "unpacking", current: 100, total: 100 }, 80), /extracting \[=+\] 100B\/100B$/);
});

test("more layers than rows: those that move are shown, the others counted, and nothing scrolls", () => {
  const { progress, text, resize, pass } = record("tty");
  resize(60, 9);
  const layers = [..."0123456789abcdef"].map(digest);
  for (const one of layers) progress.update({ layer: one, phase: "waiting", total: 100 });
  for (const one of layers.slice(0, 3)) progress.update({ layer: one, phase: "done", total: 100 });
  for (const one of layers.slice(3, 6)) progress.update({ layer: one, phase: "downloading", current: 50, total: 100 });
  pass(100);
  progress.update({ layer: layers[3] as string, phase: "downloading", current: 50, total: 100 });
  const shown = screen(text(), 60);
  assert.equal(
    shown.map((line) => line.replace(/ \[.*/, "")),
    [
      "333333333333 downloading",
      "444444444444 downloading",
      "555555555555 downloading",
      "… 3 layers ready, 10 more to come",
      "3 of 16 layers, 450B of 1.6kB",
    ],
  );
  for (const one of layers) progress.update({ layer: one, phase: "done", total: 100 });
  progress.end();
  assert.is(screen(text(), 60).length, 17, "in the end each layer has its line");
});

test("a terminal that gets narrower is drawn right again", () => {
  const { progress, text, resize, pass } = record("tty");
  progress.update({ layer, phase: "downloading", current: 50, total: 100 });
  progress.update({ layer: digest("5"), phase: "downloading", current: 50, total: 100 });
  const before = text();
  resize(30, 24);
  pass(100);
  progress.update({ layer, phase: "downloading", current: 60, total: 100 });
  // the lines of before have wrapped: two rows for each, and two for the sum
  const wrapped = screen(before, 60).reduce((sum, line) => sum + Math.ceil(line.length / 30), 0);
  assert.ok(text().slice(before.length).startsWith(`\r\x1b[${wrapped}A`), JSON.stringify(text().slice(before.length)));
});

test("a warning stands above the bars and stays", () => {
  const { printer, progress, text } = record("tty");
  printer.stderr.write("warning: before\n");
  progress.update({ layer, phase: "downloading", current: 50, total: 100 });
  printer.stderr.write("warning: meanwhile\n");
  progress.update({ layer, phase: "done" });
  progress.end();
  printer.stderr.write("warning: after\n");
  assert.equal(screen(text(), 60), [
    "warning: before",
    "warning: meanwhile",
    "444444444444 pull complete",
    "warning: after",
  ]);
});

test.run();
