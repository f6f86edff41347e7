import { test } from "uvu";
import * as assert from "uvu/assert";
import { heredocContent } from "../../../runner/build/dockerfile/lines.ts";
import { parseDockerfile } from "../../../runner/build/dockerfile/parse.ts";
import { DockerfileError } from "../../../runner/build/dockerfile/source.ts";
import type {
  CopyInstruction,
  Instruction,
  PairsInstruction,
  RunInstruction,
} from "../../../runner/build/dockerfile/types.ts";

function parse(text: string): Instruction[] {
  return parseDockerfile(text, "Dockerfile").instructions;
}

function refusal(text: string): DockerfileError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof DockerfileError) return error;
    throw error;
  }
  throw new Error(`was not refused: ${text}`);
}

const run = (text: string) => parse(text).at(-1) as RunInstruction;

test("lines are joined, comments and empty lines between them are not part of an instruction", () => {
  const one = run("FROM a\nRUN echo a \\\n  # a comment\n  && echo b \\\n\n  && echo c\n");
  assert.equal(one.command, { shell: true, words: ["echo a   && echo b   && echo c"] });
});

test("an escaped backslash at the end is no continuation", () => {
  assert.is(parse("FROM a\nRUN echo a\\\\\nRUN b\n").length, 3);
});

test("the escape directive makes the backtick continue lines", () => {
  const file = parseDockerfile("# escape=`\nFROM a\nRUN dir c:\\ `\n  b\n", "Dockerfile");
  assert.is(file.escapeChar, "`");
  assert.equal((file.instructions[1] as RunInstruction).command.words, ["dir c:\\   b"]);
});

test("a directive behind a comment is a comment", () => {
  assert.is(parseDockerfile("# hello\n# escape=`\nFROM a\n", "D").escapeChar, "\\");
});

test("a byte order mark, CR LF and a lower-case instruction are read", () => {
  const [from, cmd] = parse('\ufefffrom a\r\ncmd ["x"]\r\n');
  assert.is(from?.kind, "FROM");
  assert.is(cmd?.kind, "CMD");
});

test("a heredoc keeps its text as it stands, whatever it looks like", () => {
  const one = run(
    "FROM a\nRUN <<EOT sh -e\necho hi # no comment\n  FROM x \\\nEOT\nRUN true\n".replace("RUN true\n", ""),
  );
  assert.is(one.heredocs[0]?.content, "echo hi # no comment\n  FROM x \\\n");
  assert.is(one.command.words[0], "<<EOT sh -e");
});

test("two heredocs of one line are told apart; a dash takes tabs off, quotes forbid variables", () => {
  const two = parse("FROM a\nCOPY <<F1 <<-'F2' /x/\n$a\nF1\n\tb\n\tF2\n").at(-1) as CopyInstruction;
  assert.equal(
    two.heredocs.map((one) => [one.name, heredocContent(one), one.expand]),
    [
      ["F1", "$a\n", true],
      ["F2", "b\n", false],
    ],
  );
});

test("a heredoc that never ends is refused where it begins", () => {
  const error = refusal("FROM a\nRUN cat <<EOF\nabc\n");
  assert.match(error.message, /Dockerfile:2:9: the heredoc never ends/);
});

test("shift operators and exec forms are no heredocs", () => {
  assert.is(run('FROM a\nRUN ["sh", "<<EOF"]\n').heredocs.length, 0);
  assert.is(run("FROM a\nRUN cat <<< word\n").heredocs.length, 0);
});

test("an error shows file, line and a caret below the place", () => {
  const error = refusal("FROM a\n\nCPOY x y\n");
  assert.is(error.message, 'Cannot build Dockerfile:3:1: unknown instruction "CPOY"\n   3 | CPOY x y\n     | ^^^^');
  assert.is(error.hint, "did you mean COPY?");
});

test("an error on a continued line shows that line", () => {
  const error = refusal("FROM a\nENV A=1 \\\n    B\n");
  assert.match(error.message, /Dockerfile:3:5: "B" is not of the form NAME=VALUE\n {3}3 \| {5}B\n {5}\| {5}\^$/);
});

test("unknown flags are refused, known ones named", () => {
  const error = refusal("FROM a\nRUN --alow-net=x true\n");
  assert.match(error.message, /Dockerfile:2:5: RUN has no flag --alow-net\n.*\n {5}\| {5}\^{10}$/);
  assert.is(error.hint, "known are --mount, --network, --security");
  assert.match(refusal("FROM a\nCOPY --chown x y z\n").message, /--chown needs a value/);
});

test("flags of RUN, and mounts with their shorthands", () => {
  const one = run(
    'FROM a\nRUN --network=none --mount=type=cache,dst=/c,sharing=locked --mount=src=x,target="/a b",rw make x=1\n'.replace(
      '"/a b"',
      "/a",
    ),
  );
  assert.is(one.network, "none");
  assert.equal(
    one.mounts.map((mount) => [mount.type, Object.fromEntries(mount.fields)]),
    [
      ["cache", { target: "/c", sharing: "locked" }],
      ["bind", { source: "x", target: "/a", readwrite: "true" }],
    ],
  );
  assert.is(one.command.words[0], "make x=1");
});

test("mounts that make no sense are refused", () => {
  assert.match(refusal("FROM a\nRUN --mount=type=cache x\n").message, /a cache mount needs a target/);
  assert.match(
    refusal("FROM a\nRUN --mount=type=tmpfs,target=/x,sharing=a x\n").message,
    /tmpfs mount has no "sharing"/,
  );
  assert.match(refusal("FROM a\nRUN --mount=type=nfs,target=/x x\n").message, /no mount of type "nfs"/);
  assert.match(refusal("FROM a\nRUN --security=insecure x\n").message, /not granted/);
});

test("COPY in both forms, with all its flags", () => {
  const list = parse('FROM a\nCOPY ["a b", "c", "/d/"]\n').at(-1) as CopyInstruction;
  assert.equal(
    [...list.sources, list.dest].map((word) => word.text),
    ["a b", "c", "/d/"],
  );
  const flags = parse(
    "FROM a\nCOPY --from=b --chown=1:2 --chmod=755 --link --parents --exclude=*.o --exclude=x a b\n",
  ).at(-1) as CopyInstruction;
  assert.is(flags.from?.text, "b");
  assert.is(flags.chown?.text, "1:2");
  assert.is(flags.chmod?.text, "755");
  assert.ok(flags.link && flags.parents);
  assert.equal(
    flags.exclude.map((one) => one.text),
    ["*.o", "x"],
  );
});

test("ENV in both forms", () => {
  const [, first, second] = parse('FROM a\nENV A=1 B="x y" C=a\\ b\nENV OLD one two\n') as PairsInstruction[];
  assert.equal(
    first?.pairs.map(({ name, value }) => [name.text, value.text]),
    [
      ["A", "1"],
      ["B", '"x y"'],
      ["C", "a\\ b"],
    ],
  );
  assert.equal(
    second?.pairs.map(({ name, value }) => [name.text, value.text]),
    [["OLD", "one two"]],
  );
});

test("health checks, in both forms and none", () => {
  const check = (text: string) =>
    (parse(`FROM a\nHEALTHCHECK ${text}\n`).at(-1) as Extract<Instruction, { kind: "HEALTHCHECK" }>).healthcheck;
  assert.equal(check("NONE"), { Test: ["NONE"] });
  assert.equal(check("--interval=1m30s --retries=3 CMD curl -f x || exit 1"), {
    Test: ["CMD-SHELL", "curl -f x || exit 1"],
    Interval: 90e9,
    Retries: 3,
  });
  assert.equal(check('CMD ["a", "b"]'), { Test: ["CMD", "a", "b"] });
  assert.match(refusal("FROM a\nHEALTHCHECK --interval=5 CMD x\n").message, /time of at least 1ms/);
});

test("a broken trigger is refused where it is written", () => {
  assert.match(refusal("FROM a\nONBUILD RUNN x\n").message, /2:9: unknown instruction "RUNN"/);
  assert.match(refusal("FROM a\nONBUILD FROM x\n").message, /FROM cannot be a trigger/);
});

test.run();
