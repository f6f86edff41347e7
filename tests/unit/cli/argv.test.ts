import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseArgv, refuseTogether } from "../../../runner/cli/argv.ts";
import { boolean, bytes, choice, duration, list, number, string } from "../../../runner/cli/flags.ts";

const FLAGS = {
  detach: boolean({ short: "d", help: "" }),
  interactive: boolean({ short: "i", help: "" }),
  tty: boolean({ short: "t", help: "" }),
  rm: boolean({ help: "" }),
  noTrunc: boolean({ help: "" }),
  sigProxy: boolean({ help: "", default: true }),
  name: string({ help: "" }),
  entrypoint: string({ help: "" }),
  env: list({ short: "e", help: "" }),
  network: string({ aliases: ["net"], help: "" }),
  pull: choice(["always", "never"], { help: "" }),
  tail: number({ short: "n", min: -1, help: "" }),
  timeout: duration({ help: "" }),
  shmSize: bytes({ help: "" }),
  secret: boolean({ help: "", hidden: true }),
};

const CUT = { command: "tsbox run", cutAtFirstWord: true };
const MIXED = { command: "tsbox ps", cutAtFirstWord: false };

function parse(argv: string[], rules = CUT) {
  return parseArgv(argv, FLAGS, rules);
}

function fails(argv: string[], message: RegExp, hint = /./): void {
  try {
    parse(argv);
  } catch (error) {
    assert.match((error as Error).message, message);
    assert.match(String((error as { hint?: string }).hint), hint);
    assert.is((error as { exitCode: number }).exitCode, 125);
    return;
  }
  assert.unreachable(`${argv.join(" ")} was accepted`);
}

test("flags after the first word belong to the command", () => {
  const { flags, words } = parse(["--rm", "alpine", "ls", "-la", "--rm=false", "--", "x"]);
  assert.is(flags.rm, true);
  assert.equal(words, ["alpine", "ls", "-la", "--rm=false", "--", "x"]);
});

test("flags of other verbs may follow words", () => {
  const { flags, words } = parse(["web", "--name", "x", "db"], MIXED);
  assert.is(flags.name, "x");
  assert.equal(words, ["web", "db"]);
});

test("words keep their spelling", () => {
  assert.equal(parse(["007", "1e3", "true", ""]).words, ["007", "1e3", "true", ""]);
  assert.is(parse(["--name", "007"]).flags.name, "007");
  assert.is(parse(["--name=1e3"]).flags.name, "1e3");
  assert.equal(parse(["-e", "A=007"]).flags.env, ["A=007"]);
});

test("a boolean does not take the next word", () => {
  const { flags, words } = parse(["-d", "--rm", "true"]);
  assert.ok(flags.detach && flags.rm);
  assert.equal(words, ["true"]);
});

test("short flags combine, the last one with its value", () => {
  const { flags, words } = parse(["-dit", "-eA=1", "-e", "B=2", "-ite=C=3", "-deD", "img"]);
  assert.ok(flags.detach && flags.interactive && flags.tty);
  assert.equal(flags.env, ["A=1", "B=2", "C=3", "D"]);
  assert.equal(words, ["img"]);
});

test("a value may look like a flag", () => {
  assert.is(parse(["--entrypoint", "-c", "img"]).flags.entrypoint, "-c");
  assert.is(parse(["--entrypoint", "--", "img"]).flags.entrypoint, "--");
  assert.is(parse(["-n", "-1"]).flags.tail, -1);
});

test("an empty value is a value", () => {
  const { flags, words } = parse(["--entrypoint=", "img"]);
  assert.is(flags.entrypoint, "");
  assert.equal(words, ["img"]);
  assert.is(parse(["--entrypoint", "", "img"]).flags.entrypoint, "");
  assert.is(parse(["--name", "x", "--entrypoint="]).flags.entrypoint, "");
});

test("a value keeps equals signs and line breaks", () => {
  assert.equal(parse(["--env=A=b=c", "-e", "X=1\n2"]).flags.env, ["A=b=c", "X=1\n2"]);
});

test("the last of several single values wins", () => {
  assert.is(parse(["--name", "a", "--name=b"]).flags.name, "b");
  assert.is(parse(["--rm", "--rm=false"]).flags.rm, false);
});

test("booleans can be said off", () => {
  assert.is(parse(["--rm=false"]).flags.rm, false);
  assert.is(parse(["--rm=1"]).flags.rm, true);
  assert.is(parse(["-d=false"]).flags.detach, false);
  assert.is(parse(["--no-rm"]).flags.rm, false);
  assert.is(parse([]).flags.sigProxy, true);
  assert.is(parse(["--no-sig-proxy"]).flags.sigProxy, false);
});

test("a flag whose name begins with no- is itself", () => {
  assert.is(parse(["--no-trunc"]).flags.noTrunc, true);
  assert.is(parse([]).flags.noTrunc, false);
});

test("aliases are the flag they stand for", () => {
  assert.is(parse(["--net", "none"]).flags.network, "none");
  assert.is(parse(["--net=a", "--network=b"]).flags.network, "b");
});

test("-- ends the flags", () => {
  assert.equal(parse(["--rm", "--", "--name", "x"]).words, ["--name", "x"]);
  assert.equal(parse(["a", "--", "--name"], MIXED).words, ["a", "--name"]);
});

test("a lone dash is a word", () => {
  assert.equal(parse(["-", "x"], MIXED).words, ["-", "x"]);
});

test("values are read by their kind", () => {
  const { flags } = parse(["--timeout", "1m30s", "--shm-size", "64m", "--pull=never", "-n5"]);
  assert.is(flags.timeout, 90_000);
  assert.is(flags.shmSize, 64 << 20);
  assert.is(flags.pull, "never");
  assert.is(flags.tail, 5);
});

test("given names the flags of the command line", () => {
  assert.equal([...parse(["--net", "x", "-d"]).given], ["detach", "network"]);
});

test("what Object has is no flag", () => {
  fails(["--constructor"], /unknown flag "--constructor"/);
  fails(["--__proto__=1"], /unknown flag "--__proto__"/);
});

test("an unknown flag is named with the nearest", () => {
  fails(["--naem", "x"], /unknown flag "--naem"/, /did you mean "--name"/);
  fails(["--detatch"], /unknown flag "--detatch"/, /--detach/);
  fails(["--publish", "x"], /unknown flag "--publish"/, /tsbox run --help/);
  fails(["-x"], /unknown flag "-x"/, /tsbox run --help/);
  fails(["-dx"], /unknown flag "-x"/);
  fails(["--secre"], /unknown flag/, /tsbox run --help/);
});

test("a long flag with one dash is understood as a slip", () => {
  fails(["-name", "x"], /unknown flag "-name"/, /did you mean "--name"/);
  fails(["-detach"], /unknown flag "-detach"/, /did you mean "--detach"/);
  fails(["-env=A"], /unknown flag "-env=A"/, /did you mean "--env"/);
});

test("a missing value is said", () => {
  fails(["--name"], /--name: it needs a value/, /--name VALUE/);
  fails(["-de"], /-e: it needs a value/);
});

test("a wrong value is said with its flag", () => {
  fails(["--rm=maybe"], /--rm: expected true or false, got "maybe"/, /undefined/);
  fails(["--pull=often"], /--pull "often": expected always, never/, /undefined/);
  fails(["--tail", "x"], /--tail "x": expected a whole number of at least -1/, /undefined/);
  fails(["--timeout=soon"], /--timeout "soon": expected a duration/, /undefined/);
});

test("refuseTogether() names both flags", () => {
  const parsed = parse(["--rm", "--name", "x"]);
  assert.throws(() => refuseTogether(parsed, "rm", "name"), /--rm together with --name/);
  refuseTogether(parse(["--rm=false", "--name", "x"]), "rm", "name");
});

test.run();
