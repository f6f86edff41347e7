/** Help texts, made from the declarations. */

import { type Flag, longName } from "./flags.ts";
import type { VerbText } from "./verb.ts";
import { GROUP_WORDS, SECTIONS, VERBS } from "./verbs.ts";

/** Where the help column starts; a longer flag has its text on the next line. */
const COLUMN = 32;
const WIDTH = 100;

export function mainHelp(): string {
  const lines = [
    "Usage: tsbox [--root DIR] [--debug] VERB …",
    "",
    "Run programs in containers and sandboxes, without root and without a daemon.",
    "",
  ];
  for (const [section, names] of SECTIONS) {
    lines.push(`${section}:`, ...names.map((name) => `  ${name.padEnd(16)}${VERBS[name]?.summary ?? ""}`), "");
  }
  lines.push(
    "Global flags:",
    `  ${"--root DIR".padEnd(15)}folder of the store (default ~/.local/share/tsbox)`,
    `  ${"--debug".padEnd(15)}show where an error came from`,
    `  ${"-v, --version".padEnd(15)}show the version`,
    "",
    `Also: ${GROUP_WORDS.map((word) => `"tsbox ${word} …"`).join(", ")}.`,
    '"tsbox VERB --help" tells more of a verb.',
  );
  return `${lines.join("\n")}\n`;
}

export function verbHelp(verb: VerbText): string {
  const lines = [`Usage: tsbox ${verb.name} [FLAGS]${verb.usage === "" ? "" : ` ${verb.usage}`}`, "", verb.summary];
  if (verb.description !== undefined) lines.push("", ...wrap(verb.description, WIDTH));
  for (const [group, flags] of grouped(verb)) {
    lines.push("", `${group}:`);
    // The short form's column is there only if a flag of the verb has one.
    const shorts = Object.values(verb.flags).some((flag) => flag.short !== undefined && !flag.hidden);
    for (const [key, flag] of flags) lines.push(...flagLines(key, flag, shorts));
  }
  if (verb.examples.length > 0) {
    lines.push("", "Examples:");
    for (const [command, effect] of verb.examples) lines.push(`  ${command}`, `      ${effect}`);
  }
  return `${lines.join("\n")}\n`;
}

function grouped(verb: VerbText): Map<string, [string, Flag<unknown>][]> {
  const groups = new Map<string, [string, Flag<unknown>][]>();
  for (const [key, flag] of Object.entries(verb.flags)) {
    if (flag.hidden) continue;
    const group = flag.group ?? "Flags";
    groups.set(group, [...(groups.get(group) ?? []), [key, flag]]);
  }
  return groups;
}

function flagLines(key: string, flag: Flag<unknown>, shorts: boolean): string[] {
  const short = flag.short === undefined ? (shorts ? "    " : "") : `-${flag.short}, `;
  const names = [longName(key), ...(flag.aliases ?? [])].map((name) => `--${name}`).join(", ");
  const spelling = `  ${short}${names}${flag.takesValue ? ` ${flag.placeholder ?? "VALUE"}` : ""}`;
  const text = wrap(flag.repeats ? `${flag.help}; may be repeated` : flag.help, WIDTH - COLUMN);
  const indent = " ".repeat(COLUMN);
  if (spelling.length + 2 > COLUMN) return [spelling, ...text.map((line) => indent + line)];
  return text.map((line, i) => (i === 0 ? spelling.padEnd(COLUMN) : indent) + line);
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = "";
  for (const word of text.split(" ")) {
    if (line !== "" && line.length + 1 + word.length > width) {
      lines.push(line);
      line = "";
    }
    line += line === "" ? word : ` ${word}`;
  }
  return [...lines, line];
}
