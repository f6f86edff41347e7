/**
 * Rules for tests that would otherwise fail in silence: a suite that never runs, a forgotten `.only`, a
 * test without assertions of its own, and one that asserts how long something took.
 */
import type { Sources } from "./sources.ts";

interface Rule {
  pattern: RegExp;
  problem: string;
}

const FORBIDDEN: Rule[] = [
  { pattern: /\b\w+\.only\(/, problem: "runs only one test; take `.only` away" },
  {
    pattern: /\btest\(\s*(["'`])(?:(?!\1).)*\1\s*,\s*(?:async\s*)?\([^)]*\)\s*=>\s*\{\s*\}\s*\)/,
    problem: "has an empty test",
  },
  {
    // Time that is measured and then compared, in one statement: `assert.ok(Date.now() - start < 100)`, `elapsed < 50`.
    pattern:
      /assert\.\w+\([^;]*\b(?:(?:Date|performance)\.now\(\)|(?:hrtime|elapsed\w*|duration\w*|took\w*)\b)[^;]*[<>]/,
    problem: "asserts how long something took; measure in scripts/bench.sh",
  },
];

/** A skipped test says why in a comment on the line before or the same line. */
const SKIP = /\.skip\(/;

export function testProblems(sources: Sources): string[] {
  return [...sources].flatMap(([path, text]) => {
    const problems: string[] = [];
    // A test of these rules quotes what breaks them.
    const code = withoutTemplates(withoutComments(text));
    if (!/\b\w+(\.\w+)?\(\s*["`']/.test(code)) problems.push(`${path}: has no test`);
    for (const suite of suites(code))
      if (!new RegExp(`\\b${suite}\\.run\\(\\)`).test(code)) problems.push(`${path}: never calls ${suite}.run()`);
    for (const { pattern, problem } of FORBIDDEN) {
      const at = code.search(pattern);
      if (at >= 0) problems.push(`${path}:${lineOf(code, at)}: ${problem}`);
    }
    const lines = text.split("\n");
    code.split("\n").forEach((line, index) => {
      const reason = /\/\/\s*\S{3,}/;
      if (SKIP.test(line) && !reason.test(lines[index] ?? "") && !/^\s*\/\//.test(lines[index - 1] ?? ""))
        problems.push(`${path}:${index + 1}: skips a test without saying why (in a comment)`);
    });
    return problems;
  });
}

/** uvu's own `test`, and the suites that the file makes. */
function suites(code: string): string[] {
  const made = [...code.matchAll(/\bconst (\w+) = suite\(/g)].map(([, name = ""]) => name);
  return /import \{[^}]*\btest\b[^}]*\} from "uvu"/.test(code) || made.length === 0 ? ["test", ...made] : made;
}

/** Same line numbers. `//` in a string stays: it follows a quote or a colon. */
function withoutComments(text: string): string {
  return text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, " "))
    .replace(/(^|[\s;{}(,])\/\/.*$/gm, "$1");
}

function withoutTemplates(text: string): string {
  return text.replace(/`[^`]*`/g, (template) => `\`${template.slice(1, -1).replace(/[^\n]/g, "_")}\``);
}

function lineOf(text: string, at: number): number {
  return text.slice(0, at).split("\n").length;
}
