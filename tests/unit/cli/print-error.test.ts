import { test } from "uvu";
import * as assert from "uvu/assert";
import { TsboxError } from "../../../runner/base/error.ts";
import { errorText, statusOf } from "../../../runner/cli/print-error.ts";

test("an error is its message, its causes and its hint", () => {
  const cause = new TsboxError("Cannot read blob: EIO", { hint: "look at the disk" });
  const error = new TsboxError('Cannot start "web": its image is broken', { cause });
  assert.is(
    errorText(error, false),
    'tsbox: Cannot start "web": its image is broken\n  because: Cannot read blob: EIO\nhint: look at the disk\n',
  );
});

test("a cause that was said already is not said again", () => {
  const cause = new Error("EIO");
  assert.is(
    errorText(new TsboxError("Cannot read: EIO", { cause, hint: "h" }), false),
    "tsbox: Cannot read: EIO\nhint: h\n",
  );
});

test("a stack is shown with --debug only", () => {
  const bug = new TypeError("x is not a function");
  assert.not.match(errorText(bug, false), /at /);
  assert.match(errorText(bug, false), /hint: "tsbox --debug/);
  assert.match(errorText(bug, true), /\n {4}at .*print-error\.test/);
});

test("the first of several causes is told, and a circle ends", () => {
  const error = new TsboxError("Cannot connect", {
    cause: new AggregateError([new Error("ECONNREFUSED ::1")]),
    hint: "h",
  });
  assert.match(errorText(error, false), /because: ECONNREFUSED ::1/);
  const circle = new Error("a");
  circle.cause = circle;
  assert.match(errorText(circle, false), /^tsbox: a\n/);
});

test("control characters are made visible, whatever was thrown", () => {
  assert.is(errorText(new TsboxError("a\x1b[2J\rb", { hint: "\x07" }), false), "tsbox: a\\x1b[2J\\x0db\nhint: \\x07\n");
  assert.match(errorText("text", false), /^tsbox: text\n/);
  assert.match(errorText(new Error(""), false), /^tsbox: Error\n/);
  assert.match(errorText(undefined, false), /\n/);
});

test("the exit status is the error's own, or 125", () => {
  assert.is(statusOf(new TsboxError("x", { exitCode: 127 })), 127);
  assert.is(statusOf(new Error("x")), 125);
});

test.run();
