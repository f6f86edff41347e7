import { parseGoDuration } from "./duration.ts";
import { type Flagged, type InstructionFlag, readFlags } from "./flags.ts";
import { type Document, type Line, readLines } from "./lines.ts";
import { readRunMount } from "./run-mount.ts";
import { DockerfileError, readSource, type Source, type Span } from "./source.ts";
import type { Command, Healthcheck, Instruction, RunInstruction, StageInstruction, Text } from "./types.ts";
import { blankWords, splitWords } from "./words.ts";

export interface Dockerfile {
  source: Source;
  escapeChar: string;
  directives: Record<string, string>;
  instructions: Instruction[];
}

/** A whole file. `file` is what errors call it. */
export function parseDockerfile(text: string, file: string): Dockerfile {
  const document = readLines(readSource(file, text));
  const instructions = document.lines.map((line) => parseInstruction(document, line));
  return { source: document.source, escapeChar: document.escapeChar, directives: document.directives, instructions };
}

/** What ONBUILD kept in an image: instructions without a file. */
export function parseTriggers(triggers: string[], image: string): { source: Source; instructions: StageInstruction[] } {
  const document = readLines(readSource(`ONBUILD of ${image}`, triggers.join("\n")));
  return {
    source: document.source,
    instructions: document.lines.map((line) => parseInstruction(document, line) as StageInstruction),
  };
}

const KEYWORDS = [
  "ADD",
  "ARG",
  "CMD",
  "COPY",
  "ENTRYPOINT",
  "ENV",
  "EXPOSE",
  "FROM",
  "HEALTHCHECK",
  "LABEL",
  "MAINTAINER",
  "ONBUILD",
  "RUN",
  "SHELL",
  "STOPSIGNAL",
  "USER",
  "VOLUME",
  "WORKDIR",
];

/** What the readers of single instructions need. */
interface Reader {
  source: Source;
  escapeChar: string;
  line: Line;
  flagged: Flagged;
  flag(name: string): InstructionFlag | undefined;
  text(flag: InstructionFlag | undefined): Text | undefined;
  refuse(why: string, hint?: string, span?: Span): DockerfileError;
}

function parseInstruction(document: Document, line: Line): Instruction {
  const { source, escapeChar } = document;
  const common = { line, original: `${line.keyword} ${line.text}`.trim() };
  if (!KEYWORDS.includes(line.keyword)) {
    const near = nearest(line.keyword);
    throw new DockerfileError(
      source,
      line.keywordSpan,
      `unknown instruction "${line.keyword}"`,
      near ? `did you mean ${near}?` : `instructions are ${KEYWORDS.join(", ")}`,
    );
  }
  if (line.text === "")
    throw new DockerfileError(source, line.keywordSpan, `${line.keyword} needs something behind it`);
  // only these have flags: elsewhere "--" may begin what is meant
  const hasFlags = ["FROM", "RUN", "COPY", "ADD", "HEALTHCHECK"].includes(line.keyword);
  const flagged = hasFlags ? readFlags(source, line, escapeChar) : { flags: [], rest: line.text, offset: 0 };
  const reader: Reader = {
    source,
    escapeChar,
    line,
    flagged,
    flag: (name) => flagged.flags.find((one) => one.name === name),
    text: (flag) => flag && { text: flag.value, span: flag.span },
    refuse: (why, hint, span) => new DockerfileError(source, span ?? line.at(flagged.offset), why, hint),
  };
  switch (line.keyword) {
    case "FROM":
      return { ...common, kind: "FROM", ...from(reader) };
    case "RUN":
      return { ...common, kind: "RUN", ...run(reader) };
    case "COPY":
    case "ADD":
      return { ...common, kind: line.keyword, ...copy(reader) };
    case "ENV":
    case "LABEL":
      return { ...common, kind: line.keyword, pairs: pairs(reader) };
    case "ARG":
      return { ...common, kind: "ARG", args: args(reader) };
    case "EXPOSE":
      return { ...common, kind: "EXPOSE", words: texts(reader, blankWords(line.text)) };
    case "VOLUME":
      return { ...common, kind: "VOLUME", words: listOrWords(reader) };
    case "WORKDIR":
    case "USER":
    case "STOPSIGNAL":
      return { ...common, kind: line.keyword, word: single(reader) };
    case "MAINTAINER":
      return { ...common, kind: "MAINTAINER", word: { text: line.text, span: line.at(0) } };
    case "CMD":
    case "ENTRYPOINT":
      return { ...common, kind: line.keyword, command: command(line.text) };
    case "SHELL": {
      const shell = jsonList(line.text);
      if (!shell || shell.length === 0) {
        throw reader.refuse(
          "SHELL needs a list in JSON",
          'write SHELL ["/bin/bash", "-c"]; words stand in double quotes',
        );
      }
      return { ...common, kind: "SHELL", shell };
    }
    case "ONBUILD":
      return { ...common, kind: "ONBUILD", trigger: onbuild(document, reader) };
    default:
      return { ...common, kind: "HEALTHCHECK", healthcheck: healthcheck(reader) };
  }
}

function texts(reader: Reader, words: { text: string; start: number; end: number }[]): Text[] {
  const { line, flagged } = reader;
  return words.map(({ text, start, end }) => ({ text, span: line.at(flagged.offset + start, flagged.offset + end) }));
}

function from(reader: Reader) {
  const words = texts(reader, blankWords(reader.flagged.rest));
  const [image, as, name, more] = words;
  const platform = reader.text(reader.flag("platform"));
  if (!image || more || (as && (as.text.toUpperCase() !== "AS" || !name))) {
    throw reader.refuse(
      "FROM is followed by an image, and by AS and a name for the stage",
      "write FROM IMAGE [AS NAME]",
    );
  }
  if (name && !/^[a-z][a-z0-9-_.]*$/i.test(name.text)) {
    throw reader.refuse(
      `"${name.text}" is not a name for a stage`,
      "a letter, then letters, digits, - _ and .",
      name.span,
    );
  }
  return { image, ...(platform && { platform }), ...(name && { name: name.text.toLowerCase() }) };
}

function run(reader: Reader): Omit<RunInstruction, "line" | "original" | "kind"> {
  const { flagged, line } = reader;
  const network = reader.flag("network");
  if (network && !["default", "none", "host"].includes(network.value)) {
    throw reader.refuse(`there is no network "${network.value}"`, "it is default, none or host", network.span);
  }
  const security = reader.flag("security");
  if (security && security.value !== "sandbox") {
    throw reader.refuse(
      `--security=${security.value} is not granted`,
      "every step runs in the sandbox: leave the flag out",
      security.span,
    );
  }
  if (flagged.rest === "") throw reader.refuse("RUN needs a command");
  return {
    command: command(flagged.rest),
    heredocs: line.heredocs,
    mounts: flagged.flags.filter((one) => one.name === "mount").map((one) => readRunMount(reader.source, one)),
    ...(network && { network: network.value as "default" | "none" | "host" }),
  };
}

function copy(reader: Reader) {
  const { flagged, line } = reader;
  const words = listOrWords(reader);
  const dest = words.at(-1);
  if (words.length < 2 || !dest) {
    throw reader.refuse(`${line.keyword} needs a source and a destination`, `write ${line.keyword} SOURCE… DEST`);
  }
  const optional = {
    from: reader.text(reader.flag("from")),
    chown: reader.text(reader.flag("chown")),
    chmod: reader.text(reader.flag("chmod")),
    checksum: reader.text(reader.flag("checksum")),
  };
  const is = (name: string) => /^(true|1)$/i.test(reader.flag(name)?.value ?? "false");
  const unpack = reader.flag("unpack");
  return {
    sources: words.slice(0, -1),
    dest,
    heredocs: line.heredocs,
    ...(optional.from && { from: optional.from }),
    ...(optional.chown && { chown: optional.chown }),
    ...(optional.chmod && { chmod: optional.chmod }),
    ...(optional.checksum && { checksum: optional.checksum }),
    link: is("link"),
    parents: is("parents"),
    keepGitDir: is("keep-git-dir"),
    ...(unpack && { unpack: is("unpack") }),
    exclude: flagged.flags.filter((one) => one.name === "exclude").map(({ value, span }) => ({ text: value, span })),
  };
}

/** `A=1 B="two words"`, or the old form `A one value`. */
function pairs(reader: Reader): { name: Text; value: Text }[] {
  const { line, escapeChar } = reader;
  const words = splitWords(line.text, escapeChar);
  const [first] = words;
  if (first && !first.text.includes("=")) {
    const value = line.text.slice(first.end).trim();
    if (value === "") throw reader.refuse(`${line.keyword} needs a value`, `write ${line.keyword} ${first.text}=VALUE`);
    const start = line.text.indexOf(value, first.end);
    return [
      {
        name: { text: first.text, span: line.at(first.start, first.end) },
        value: { text: value, span: line.at(start, start + value.length) },
      },
    ];
  }
  return words.map(({ text, start, end }) => {
    const cut = text.indexOf("=");
    if (cut <= 0) {
      throw reader.refuse(
        cut === 0 ? "a name is missing before =" : `"${text}" is not of the form NAME=VALUE`,
        "quote a value that has blanks",
        line.at(start, end),
      );
    }
    return {
      name: { text: text.slice(0, cut), span: line.at(start, start + cut) },
      value: { text: text.slice(cut + 1), span: line.at(start + cut + 1, end) },
    };
  });
}

function args(reader: Reader) {
  return splitWords(reader.line.text, reader.escapeChar).map(({ text, start, end }) => {
    const span = reader.line.at(start, end);
    const cut = text.indexOf("=");
    const name = (cut < 0 ? text : text.slice(0, cut)).replace(/^(["'])(.*)\1$/, "$2");
    if (name === "") throw reader.refuse("a name is missing before =", undefined, span);
    return {
      name,
      span,
      ...(cut >= 0 && { value: { text: text.slice(cut + 1), span: reader.line.at(start + cut + 1, end) } }),
    };
  });
}

function single(reader: Reader): Text {
  const { line } = reader;
  return { text: line.text, span: line.at(0) };
}

/** The JSON form, whose words may hold blanks, or words. */
function listOrWords(reader: Reader): Text[] {
  const { flagged, line } = reader;
  const list = jsonList(flagged.rest);
  if (list) return list.map((text) => ({ text, span: line.at(flagged.offset) }));
  return texts(reader, blankWords(flagged.rest));
}

function command(text: string): Command {
  const words = jsonList(text);
  return words ? { shell: false, words } : { shell: true, words: [text] };
}

function jsonList(text: string): string[] | undefined {
  if (!text.startsWith("[")) return undefined;
  try {
    const list: unknown = JSON.parse(text);
    return Array.isArray(list) && list.every((word) => typeof word === "string") ? list : undefined;
  } catch {
    return undefined;
  }
}

function onbuild(document: Document, reader: Reader): string {
  const { line } = reader;
  const keyword = (/^\S*/.exec(line.text)?.[0] ?? "").toUpperCase();
  if (["ONBUILD", "FROM", "MAINTAINER"].includes(keyword)) {
    throw reader.refuse(`${keyword} cannot be a trigger`, undefined, line.at(0, keyword.length));
  }
  // what is wrong with the trigger is said now, not when somebody builds on the image
  const offset = line.text.length - line.text.replace(/^\S+\s*/, "").length;
  const inner: Line = {
    keyword,
    keywordSpan: line.at(0, keyword.length),
    text: line.text.slice(offset),
    heredocs: line.heredocs,
    span: line.at(0),
    at: (start, end) => line.at(start + offset, end === undefined ? undefined : end + offset),
  };
  parseInstruction(document, inner);
  return [line.text, ...line.heredocs.map((one) => `${one.content}${one.name}`)].join("\n");
}

const TIMES = {
  interval: "Interval",
  timeout: "Timeout",
  "start-period": "StartPeriod",
  "start-interval": "StartInterval",
} as const;

function healthcheck(reader: Reader): Healthcheck {
  const { flagged, line } = reader;
  const kind = (/^\S*/.exec(flagged.rest)?.[0] ?? "").toUpperCase();
  const rest = flagged.rest.slice(kind.length).trim();
  if (kind === "NONE") {
    if (rest !== "" || flagged.flags.length > 0) throw reader.refuse("HEALTHCHECK NONE takes nothing else");
    return { Test: ["NONE"] };
  }
  if (kind !== "CMD") {
    throw reader.refuse(
      `"${kind}" is not a health check`,
      "write HEALTHCHECK [FLAGS] CMD COMMAND, or HEALTHCHECK NONE",
      line.at(flagged.offset, flagged.offset + kind.length),
    );
  }
  if (rest === "") throw reader.refuse("HEALTHCHECK CMD needs a command");
  const { shell, words } = command(rest);
  const result: Healthcheck = { Test: [shell ? "CMD-SHELL" : "CMD", ...words] };
  for (const flag of flagged.flags) {
    if (flag.name === "retries") {
      if (!/^[1-9]\d*$/.test(flag.value))
        throw reader.refuse("--retries is a number of at least 1", undefined, flag.span);
      result.Retries = Number(flag.value);
      continue;
    }
    const time = parseGoDuration(flag.value);
    if (time === undefined || (time > 0 && time < 1e6)) {
      throw reader.refuse(`--${flag.name} is a time of at least 1ms, such as 30s or 1m30s`, undefined, flag.span);
    }
    result[TIMES[flag.name as keyof typeof TIMES]] = time;
  }
  return result;
}

function nearest(word: string): string | undefined {
  const letters = (text: string) => [...text].sort().join("");
  const close = (a: string, b: string) => {
    if (letters(a) === letters(b) || a.startsWith(b) || (a.length > 2 && b.startsWith(a))) return true;
    // one letter more, less or other
    if (Math.abs(a.length - b.length) > 1) return false;
    let start = 0;
    while (start < a.length && a[start] === b[start]) start++;
    let end = 0;
    while (end < Math.min(a.length, b.length) - start && a.at(-1 - end) === b.at(-1 - end)) end++;
    return start + end >= Math.max(a.length, b.length) - 1;
  };
  return KEYWORDS.find((keyword) => close(word, keyword));
}
