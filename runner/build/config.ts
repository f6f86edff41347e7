import { TsboxError } from "../base/error.ts";
import type { ProcessConfig } from "../oci/types.ts";
import { formatGoDuration } from "./dockerfile/duration.ts";
import type { Lookup } from "./dockerfile/expand.ts";
import { DockerfileError, type Source } from "./dockerfile/source.ts";
import type { Command, Healthcheck, StageInstruction } from "./dockerfile/types.ts";
import type { Expander } from "./variables.ts";

/** Instructions that change nothing but the image's config. */
export type ConfigInstruction = Exclude<StageInstruction, { kind: "RUN" | "COPY" | "ADD" | "ARG" | "WORKDIR" }>;

export interface ConfigContext {
  source: Source;
  expander: Expander;
  lookup: Lookup;
  /** CMD stood in this stage already: an ENTRYPOINT then leaves it. */
  cmdSet: boolean;
}

export interface ConfigChange {
  config: ProcessConfig;
  /** As Docker writes it into the history. */
  createdBy: string;
  author?: string;
}

export function isConfigInstruction(instruction: StageInstruction): instruction is ConfigInstruction {
  return !["RUN", "COPY", "ADD", "ARG", "WORKDIR"].includes(instruction.kind);
}

/** What one such instruction makes of a config. */
export function changeConfig(config: ProcessConfig, one: ConfigInstruction, context: ConfigContext): ConfigChange {
  const { expander, lookup, source } = context;
  switch (one.kind) {
    case "ENV": {
      // all of one ENV see the variables as they were before it
      const pairs = one.pairs.map(({ name, value }) => [expander.word(name, lookup), expander.word(value, lookup)]);
      return {
        config: {
          ...config,
          Env: pairs.reduce((env, [name, value]) => withVariable(env, `${name}=${value}`), config.Env ?? []),
        },
        createdBy: `ENV ${pairs.map(([name, value]) => `${name}=${value}`).join(" ")}`,
      };
    }
    case "LABEL": {
      const pairs = one.pairs.map(({ name, value }) => [expander.word(name, lookup), expander.word(value, lookup)]);
      return {
        config: { ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairs) } },
        createdBy: `LABEL ${pairs.map(([name, value]) => `${name}=${value}`).join(" ")}`,
      };
    }
    case "EXPOSE": {
      const ports = one.words.flatMap((word) =>
        expander.words(word, lookup).flatMap((text) => {
          const found = exposedPorts(text);
          if (!found) {
            throw new DockerfileError(
              source,
              word.span,
              `"${text}" is not a port`,
              "write 80, 80/udp or 8000-8010/tcp",
            );
          }
          return found;
        }),
      );
      return {
        config: {
          ...config,
          ExposedPorts: { ...config.ExposedPorts, ...Object.fromEntries(ports.map((port) => [port, {}])) },
        },
        createdBy: `EXPOSE map[${[...new Set(ports)]
          .sort()
          .map((port) => `${port}:{}`)
          .join(" ")}]`,
      };
    }
    case "VOLUME": {
      const paths = one.words.map((word) => {
        const path = expander.word(word, lookup);
        if (path === "") throw new DockerfileError(source, word.span, "a volume's path is empty");
        return path;
      });
      return {
        config: { ...config, Volumes: { ...config.Volumes, ...Object.fromEntries(paths.map((path) => [path, {}])) } },
        createdBy: `VOLUME [${paths.join(" ")}]`,
      };
    }
    case "USER": {
      const user = expander.word(one.word, lookup);
      if (user === "") throw new DockerfileError(source, one.word.span, "the user's name is empty");
      return { config: { ...config, User: user }, createdBy: `USER ${user}` };
    }
    case "STOPSIGNAL": {
      const signal = expander.word(one.word, lookup);
      if (!/^(\d+|(SIG)?[A-Z][A-Z0-9]*([+-]\d+)?)$/.test(signal)) {
        throw new DockerfileError(
          source,
          one.word.span,
          `"${signal}" is not a signal`,
          "a name such as SIGTERM, or a number",
        );
      }
      return { config: { ...config, StopSignal: signal }, createdBy: `STOPSIGNAL ${signal}` };
    }
    case "MAINTAINER":
      return { config, createdBy: `MAINTAINER ${one.word.text}`, author: one.word.text };
    case "CMD": {
      const words = commandWords(one.command, config.Shell);
      return { config: { ...config, Cmd: words }, createdBy: `CMD ${goList(words)}` };
    }
    case "ENTRYPOINT": {
      const words = commandWords(one.command, config.Shell);
      const { Cmd, ...rest } = config;
      // a command that came with the base image was for its entrypoint
      const kept = context.cmdSet && Cmd !== undefined ? { Cmd } : {};
      return { config: { ...rest, ...kept, Entrypoint: words }, createdBy: `ENTRYPOINT ${goList(words)}` };
    }
    case "SHELL":
      return { config: { ...config, Shell: one.shell }, createdBy: `SHELL [${one.shell.join(" ")}]` };
    case "ONBUILD":
      return {
        config: { ...config, OnBuild: [...(config.OnBuild ?? []), one.trigger] },
        createdBy: `ONBUILD ${one.trigger}`,
      };
    case "HEALTHCHECK":
      return {
        config: { ...config, Healthcheck: one.healthcheck },
        createdBy: `HEALTHCHECK ${goHealthcheck(one.healthcheck)}`,
      };
  }
}

/** Replaces a variable where it stands, or adds it. */
export function withVariable(env: string[], variable: string): string[] {
  const prefix = variable.slice(0, variable.indexOf("=") + 1);
  const at = env.findIndex((one) => one.startsWith(prefix));
  return at < 0 ? [...env, variable] : env.with(at, variable);
}

export const DEFAULT_SHELL = ["/bin/sh", "-c"];

/** A command's words, with the image's shell before a line that is for it. */
export function commandWords(command: Command, shell: string[] = DEFAULT_SHELL): string[] {
  return command.shell ? [...shell, ...command.words] : command.words;
}

/** Go's %q of a list. */
export function goList(words: string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(" ")}]`;
}

function goHealthcheck(check: Healthcheck): string {
  const time = (nanoseconds = 0) => `"${formatGoDuration(nanoseconds)}"`;
  const times = [check.Interval, check.Timeout, check.StartPeriod, check.StartInterval].map(time).join(" ");
  const retries = `'\\x${(check.Retries ?? 0).toString(16).padStart(2, "0")}'`;
  return `&{${goList(check.Test)} ${times} ${retries}}`;
}

/** `80`, `80/udp`, `8000-8010/tcp`, `1.2.3.4:80:90/tcp` (of which only the last port counts). */
function exposedPorts(text: string): string[] | undefined {
  const found = /^(?:.*:)?(\d+)(?:-(\d+))?(?:\/(tcp|udp|sctp))?$/i.exec(text);
  const [, first, last = first, protocol = "tcp"] = found ?? [];
  const [from, to] = [Number(first), Number(last)];
  if (!found || from < 1 || to > 65535 || to < from) return undefined;
  return Array.from({ length: to - from + 1 }, (_, n) => `${from + n}/${protocol.toLowerCase()}`);
}

/** WORKDIR: relative to the one before. */
export function workdirOf(config: ProcessConfig, path: string): string {
  const base = path.startsWith("/") ? "" : (config.WorkingDir ?? "/");
  const parts: string[] = [];
  for (const part of `${base}/${path}`.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** `--label` and its like are checked here, since they come without a file. */
export function labelWord(text: string): [string, string] {
  const cut = text.indexOf("=");
  if (cut === 0) throw new TsboxError(`Cannot set label "${text}": it has no name`, { code: "INVALID_LABEL" });
  return cut < 0 ? [text, ""] : [text.slice(0, cut), text.slice(cut + 1)];
}
