import { test } from "uvu";
import * as assert from "uvu/assert";
import { TsboxError } from "../../../runner/base/error.ts";
import type { Context } from "../../../runner/cli/context.ts";
import { runCommandLine } from "../../../runner/cli/entry.ts";
import { resolveVerb, SECTIONS, VERB_NAMES, VERBS } from "../../../runner/cli/verbs.ts";

async function run(...argv: string[]) {
  let out = "";
  let err = "";
  const context: Context = {
    root: "/nonexistent/store",
    debug: false,
    env: {},
    cwd: "/",
    stdout: { write: (text) => (out += text) },
    stderr: { write: (text) => (err += text) },
    stdinIsTerminal: false,
    signal: new AbortController().signal,
    now: () => 0,
  };
  const code = await runCommandLine(argv, context);
  return { code, out, err };
}

async function refused(...argv: string[]): Promise<TsboxError> {
  try {
    await run(...argv);
  } catch (error) {
    if (error instanceof TsboxError) return error;
    throw error;
  }
  assert.unreachable(`${argv.join(" ")} was accepted`);
  throw new Error();
}

test("tsbox alone lists every verb", async () => {
  const { code, out } = await run();
  assert.is(code, 0);
  for (const name of VERB_NAMES) assert.match(out, new RegExp(`^  ${name} +\\S`, "m"));
  assert.not.match(out, /explain/);
  assert.equal(SECTIONS.flatMap(([, names]) => names).sort(), [...VERB_NAMES].sort());
});

test("help is the same however it is asked for", async () => {
  const { out } = await run("run", "--help");
  assert.is((await run("help", "run")).out, out);
  assert.is((await run("--help", "run")).out, out);
  assert.match(out, /^Usage: tsbox run \[FLAGS\] IMAGE/);
  assert.match(out, /^ {2}-e, --env NAME\[=VALUE\] +\S/m);
  assert.match(out, /-h, --hostname/);
  assert.match((await run("ps", "-h")).out, /-h, --help/);
  assert.is((await run("container", "ls", "--help")).out, (await run("ps", "--help")).out);
});

test("every verb has its name, a sentence and two examples that begin with it", async () => {
  for (const [name, entry] of Object.entries(VERBS)) {
    const { default: verb } = await entry.load();
    assert.is(verb.text.name, name);
    assert.match(verb.text.summary, /\.$/, name);
    assert.ok(verb.text.examples.length >= 2, name);
    for (const [command] of verb.text.examples)
      assert.ok(command.includes(`tsbox ${name}`) || command.includes(name), command);
    const shorts = Object.values(verb.text.flags).flatMap((flag) => flag.short ?? []);
    assert.is(new Set(shorts).size, shorts.length, `${name} uses a letter twice`);
  }
});

test("the version is one line", async () => {
  assert.match((await run("-v")).out, /^tsbox version \d+\.\d+\.\d+\S*\n$/);
  assert.is((await run("--version")).out, (await run("-v")).out);
  const { out } = await run("version", "--format", "{{.Version}}");
  assert.is(`tsbox version ${out}`, (await run("-v")).out);
});

test("an unknown verb is named with the nearest", async () => {
  const error = await refused("rnu");
  assert.is(error.exitCode, 1);
  assert.match(error.message, /unknown verb "rnu"/);
  assert.match(error.hint ?? "", /tsbox run/);
  assert.match((await refused("image", "lss")).hint ?? "", /tsbox image ls/);
  assert.match((await refused("image")).message, /a verb is missing/);
  assert.match((await refused("help", "nope")).message, /unknown verb "nope"/);
  assert.match((await refused("constructor")).message, /unknown verb/);
  assert.match((await refused("image", "toString")).message, /unknown verb/);
});

test("a wrong flag is 125, as in docker", async () => {
  assert.is((await refused("ps", "--nope")).exitCode, 125);
  assert.is((await refused("run", "--nope", "x")).exitCode, 125);
  assert.is((await refused("--nope")).exitCode, 125);
});

test("groups are other names of verbs", () => {
  assert.is(resolveVerb(["container", "ls", "-a"])?.name, "ps");
  assert.equal(resolveVerb(["container", "ls", "-a"])?.argv, ["-a"]);
  assert.equal(resolveVerb(["image", "inspect", "x"])?.argv, ["--type=image", "x"]);
  assert.is(resolveVerb(["image", "rm"])?.name, "rmi");
  assert.is(resolveVerb(["system", "info"])?.name, "info");
  assert.is(resolveVerb(["nope"]), undefined);
});

test.run();
