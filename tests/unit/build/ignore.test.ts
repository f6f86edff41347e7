import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseIgnore } from "../../../runner/build/ignore.ts";

function check(lines: string, excluded: string[], kept: string[]): void {
  const ignore = parseIgnore(lines);
  for (const path of excluded) assert.ok(ignore.excludes(path), `${path} is excluded`);
  for (const path of kept) assert.not(ignore.excludes(path), `${path} is kept`);
}

test("a name excludes itself at the top, and what is below it", () => {
  check("a", ["a", "a/b", "a/b/c"], ["b/a", "ab"]);
});

test("stars stop at slashes, double stars do not", () => {
  check("*.log", ["x.log"], ["d/x.log"]);
  check("**/*.log", ["x.log", "d/x.log", "d/e/x.log"], ["x.logs"]);
  check("d/**", ["d/x", "d/e/x"], ["x", "dd/x"]);
  check("d/**/x", ["d/x", "d/e/x", "d/e/f/x"], ["x", "d/y"]);
  check("*/temp?", ["a/temp1"], ["temp1", "a/b/temp1", "a/temp12"]);
});

test("later lines win, and ! takes back", () => {
  check("*.md\n!README.md", ["a.md"], ["README.md"]);
  check("*.md\n!README*.md\nREADME-secret.md", ["README-secret.md"], ["README-a.md"]);
  check("*\n!src", ["x", "Dockerfile"], ["src", "src/a/b"]);
  check("!a\na", ["a"], []);
});

test("comments, blanks, slashes and dots mean nothing", () => {
  check("# a\n  b  \n/c/\n./d/../e\n\n.", ["b", "c", "c/x", "e"], ["a", "d", "#"]);
});

test("sets and escapes", () => {
  check("[ab]x\n\\*y\n[^c]z\n[", ["ax", "bx", "*y", "az", "["], ["cx", "ay", "cz"]);
});

test("an excluded folder is looked into only where an exception may be", () => {
  const ignore = parseIgnore("node_modules\ndocs\n!docs/api/*.md\n!**/keep");
  assert.not(ignore.excludesAllBelow("docs"));
  const plain = parseIgnore("node_modules\ndocs\n!docs/api/*.md");
  assert.ok(plain.excludesAllBelow("node_modules"));
  assert.not(plain.excludesAllBelow("docs/api"));
  assert.ok(plain.excludesAllBelow("docs/other"));
});

test.run();
