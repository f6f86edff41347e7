import { test } from "uvu";
import * as assert from "uvu/assert";
import { expandText, expandWord } from "../../../runner/build/dockerfile/expand.ts";

const VALUES: Record<string, string> = { A: "one", EMPTY: "", PATH_: "/usr/local/bin", FILE: "a.tar.gz", S: "a b" };
const expand = (text: string) => expandWord(text, (name) => VALUES[name]);

const CASES: Record<string, string> = {
  $A: "one",
  "${A}b": "oneb",
  $Ab: "",
  "\\$A": "$A",
  "'$A'": "$A",
  '"$A"': "one",
  '"a\\"b"': 'a"b',
  '"a\\b"': "a\\b",
  "a\\ b": "a b",
  "${NO:-x}": "x",
  "${EMPTY:-x}": "x",
  "${EMPTY-x}": "",
  "${NO-x}": "x",
  "${A:-x}": "one",
  "${A:+x}": "x",
  "${EMPTY:+x}": "",
  "${EMPTY+x}": "x",
  "${NO+x}": "",
  "${NO:-${A}}": "one",
  "${NO:-'q w'}": "q w",
  "${PATH_#*/}": "usr/local/bin",
  "${PATH_##*/}": "bin",
  "${PATH_%/*}": "/usr/local",
  "${PATH_%%/*}": "",
  "${FILE%.*}": "a.tar",
  "${FILE%%.*}": "a",
  "${FILE#?.}": "tar.gz",
  "${FILE/a/b}": "b.tar.gz",
  "${FILE//a/b}": "b.tbr.gz",
  "${PATH_//\\//-}": "-usr-local-bin",
  "${FILE//./$A}": "aonetaronegz",
  a$: "a$",
  $$: "$$",
  "100%": "100%",
};

for (const [text, want] of Object.entries(CASES)) {
  test(`${text} is ${JSON.stringify(want)}`, () => assert.is(expand(text), want));
}

test("a variable that must be set is asked for", () => {
  assert.throws(() => expand("${NO:?say NO}"), /NO: say NO/);
  assert.throws(() => expand("${NO?}"), /NO: it is not set/);
  assert.is(expand("${A:?x}"), "one");
});

test("what does not end is refused", () => {
  assert.throws(() => expand("${A"), /missing/);
  assert.throws(() => expand("'a"), /not closed/);
  assert.throws(() => expand('"a'), /not closed/);
  assert.throws(() => expand("${A:x}"), /no modifier/);
});

test("a heredoc's text keeps its quotes", () => {
  assert.is(
    expandText("a=\"$A\" 'x' \\n \\$A", (name) => VALUES[name]),
    "a=\"one\" 'x' \\n $A",
  );
});

test("a pattern's special characters are only the shell's", () => {
  assert.is(
    expandWord("${V//(a)/x}", () => "(a)+(a)"),
    "x+x",
  );
});

test.run();
