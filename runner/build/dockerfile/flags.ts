import type { Line } from "./lines.ts";
import { DockerfileError, type Source, type Span } from "./source.ts";
import { splitWords } from "./words.ts";

/** How a flag of an instruction is written: `--name=value`, `--name` alone, or several times with values. */
export type FlagKind = "value" | "boolean" | "list";

export interface InstructionFlag {
  name: string;
  value: string;
  span: Span;
}

/** The flags of every instruction. Others are refused by name. */
export const INSTRUCTION_FLAGS: Record<string, Record<string, FlagKind>> = {
  FROM: { platform: "value" },
  RUN: { mount: "list", network: "value", security: "value" },
  COPY: { from: "value", chown: "value", chmod: "value", link: "boolean", parents: "boolean", exclude: "list" },
  ADD: {
    chown: "value",
    chmod: "value",
    link: "boolean",
    exclude: "list",
    checksum: "value",
    "keep-git-dir": "boolean",
    unpack: "boolean",
  },
  HEALTHCHECK: {
    interval: "value",
    timeout: "value",
    "start-period": "value",
    "start-interval": "value",
    retries: "value",
  },
};

export interface Flagged {
  flags: InstructionFlag[];
  /** The words after the flags, and where they begin in the line's text. */
  rest: string;
  offset: number;
}

/** Takes the flags off the start of an instruction. */
export function readFlags(source: Source, line: Line, escapeChar: string): Flagged {
  const known = INSTRUCTION_FLAGS[line.keyword] ?? {};
  const flags: InstructionFlag[] = [];
  let offset = 0;
  for (const word of splitWords(line.text, escapeChar)) {
    if (!word.text.startsWith("--")) break;
    offset = word.end;
    if (word.text === "--") break;
    const span = line.at(word.start, word.end);
    const cut = word.text.indexOf("=");
    const name = word.text.slice(2, cut < 0 ? undefined : cut);
    const kind = Object.hasOwn(known, name) ? known[name] : undefined;
    if (kind === undefined) {
      const names = Object.keys(known).map((one) => `--${one}`);
      throw new DockerfileError(
        source,
        line.at(word.start, word.start + 2 + name.length),
        `${line.keyword} has no flag --${name}`,
        names.length > 0 ? `known are ${names.join(", ")}` : `${line.keyword} takes no flags`,
      );
    }
    if (kind !== "boolean" && cut < 0) {
      throw new DockerfileError(source, span, `--${name} needs a value`, `write --${name}=…`);
    }
    const value = cut < 0 ? "true" : word.text.slice(cut + 1);
    if (kind === "boolean" && !/^(true|false|1|0)$/i.test(value)) {
      throw new DockerfileError(source, span, `--${name} is true or false, got "${value}"`);
    }
    if (kind !== "list" && flags.some((flag) => flag.name === name)) {
      throw new DockerfileError(source, span, `--${name} stands here twice`, "remove one");
    }
    flags.push({ name, value, span });
  }
  const rest = line.text.slice(offset);
  const blanks = rest.length - rest.trimStart().length;
  return { flags, rest: rest.trimStart(), offset: offset + blanks };
}
