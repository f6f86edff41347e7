import type { Heredoc, Line } from "./lines.ts";
import type { Span } from "./source.ts";

/** A word of the file, not expanded yet, and where it stands. */
export interface Text {
  text: string;
  span: Span;
}

/** A command in exec form (a list), or a line for the shell. */
export interface Command {
  shell: boolean;
  words: string[];
}

export type RunMountType = "bind" | "cache" | "tmpfs" | "secret" | "ssh";

/** `--mount` of a RUN: its fields as they stand, names in lower case. */
export interface RunMount {
  type: RunMountType;
  fields: Map<string, string>;
  span: Span;
}

interface Common {
  line: Line;
  /** As the file has it: for what people are shown. */
  original: string;
}

export interface FromInstruction extends Common {
  kind: "FROM";
  image: Text;
  platform?: Text;
  name?: string;
}
export interface RunInstruction extends Common {
  kind: "RUN";
  command: Command;
  heredocs: Heredoc[];
  mounts: RunMount[];
  network?: "default" | "none" | "host";
}
export interface CopyInstruction extends Common {
  kind: "COPY" | "ADD";
  sources: Text[];
  dest: Text;
  heredocs: Heredoc[];
  from?: Text;
  chown?: Text;
  chmod?: Text;
  link: boolean;
  parents: boolean;
  exclude: Text[];
  checksum?: Text;
  keepGitDir: boolean;
  /** ADD: take archives apart; undefined is the old rule (local ones, not fetched ones). */
  unpack?: boolean;
}
export interface PairsInstruction extends Common {
  kind: "ENV" | "LABEL";
  pairs: { name: Text; value: Text }[];
}
export interface ArgInstruction extends Common {
  kind: "ARG";
  args: { name: string; value?: Text; span: Span }[];
}
export interface WordsInstruction extends Common {
  kind: "EXPOSE" | "VOLUME";
  words: Text[];
}
export interface WordInstruction extends Common {
  kind: "USER" | "STOPSIGNAL" | "MAINTAINER";
  word: Text;
}
export interface WorkdirInstruction extends Common {
  kind: "WORKDIR";
  word: Text;
}
export interface CommandInstruction extends Common {
  kind: "CMD" | "ENTRYPOINT";
  command: Command;
}
export interface ShellInstruction extends Common {
  kind: "SHELL";
  shell: string[];
}
export interface OnbuildInstruction extends Common {
  kind: "ONBUILD";
  trigger: string;
}
export interface Healthcheck {
  Test: string[];
  Interval?: number;
  Timeout?: number;
  StartPeriod?: number;
  StartInterval?: number;
  Retries?: number;
}
export interface HealthcheckInstruction extends Common {
  kind: "HEALTHCHECK";
  healthcheck: Healthcheck;
}

export type Instruction =
  | FromInstruction
  | RunInstruction
  | CopyInstruction
  | PairsInstruction
  | ArgInstruction
  | WordsInstruction
  | WordInstruction
  | WorkdirInstruction
  | CommandInstruction
  | ShellInstruction
  | OnbuildInstruction
  | HealthcheckInstruction;

/** What may stand in a stage. */
export type StageInstruction = Exclude<Instruction, FromInstruction>;
