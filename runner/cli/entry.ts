/** The command line from its first word: global flags, then the verb's own file. */

import { parseArgv } from "./argv.ts";
import { type Context, changed } from "./context.ts";
import { boolean } from "./flags.ts";
import { UsageError } from "./usage-error.ts";
import { GLOBAL_FLAGS } from "./verb.ts";
import { groupVerbs, resolveVerb, VERB_NAMES } from "./verbs.ts";

const FLAGS = {
  ...GLOBAL_FLAGS,
  help: { ...GLOBAL_FLAGS.help, short: "h" },
  version: boolean({ short: "v", help: "show the version" }),
};

export async function runCommandLine(argv: readonly string[], outer: Context): Promise<number> {
  const { flags, words } = parseArgv(argv, FLAGS, { command: "tsbox", cutAtFirstWord: true });
  const context = changed(outer, {
    root: flags.root,
    storageDriver: flags.storageDriver,
    debug: flags.debug || outer.debug,
  });
  if (flags.version) return runVerb(["version", "--short"], context);
  const asksHelp = flags.help || words[0] === "help" || words.length === 0;
  if (asksHelp) return help(words[0] === "help" ? words.slice(1) : words, context);
  return runVerb(words, context);
}

async function runVerb(words: readonly string[], context: Context): Promise<number> {
  const resolved = resolveVerb(words);
  if (resolved === undefined) throw await unknownVerb(words);
  const { default: verb } = await resolved.entry.load();
  return verb.run(resolved.argv, context);
}

async function help(words: readonly string[], context: Context): Promise<number> {
  const { mainHelp, verbHelp } = await import("./help.ts");
  if (words.length === 0) {
    context.stdout.write(mainHelp());
    return 0;
  }
  const resolved = resolveVerb(words);
  if (resolved === undefined) throw await unknownVerb(words);
  context.stdout.write(verbHelp((await resolved.entry.load()).default.text));
  return 0;
}

async function unknownVerb(words: readonly string[]): Promise<UsageError> {
  const [first = "", second] = words;
  const inGroup = groupVerbs(first);
  const { nearest } = await import("./suggest.ts");
  const near = inGroup === undefined ? nearest(first, VERB_NAMES) : nearest(second ?? "", inGroup);
  const command = inGroup === undefined ? "tsbox" : `tsbox ${first}`;
  const unknown = inGroup === undefined ? first : second;
  const what = unknown === undefined ? "a verb is missing" : `unknown verb ${JSON.stringify(unknown)}`;
  const list = inGroup === undefined ? '"tsbox --help" lists the verbs' : `known are ${inGroup.join(", ")}`;
  return new UsageError(`Cannot run ${command}: ${what}`, {
    hint: near === undefined ? list : `did you mean "${command} ${near}"?`,
    exitCode: 1,
  });
}
