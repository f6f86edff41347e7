import { TsboxError } from "../base/error.ts";
import type { ProcessConfig } from "../oci/types.ts";

/** Applies `--change` words, each a Dockerfile instruction that only touches the config. */
export function applyChanges(config: ProcessConfig, changes: string[]): ProcessConfig {
  return changes.reduce(applyChange, config);
}

function applyChange(config: ProcessConfig, change: string): ProcessConfig {
  const found = /^\s*([A-Za-z]+)\s+([\s\S]+?)\s*$/.exec(change);
  const instruction = found?.[1]?.toUpperCase();
  const text = found?.[2] ?? "";
  switch (instruction) {
    case "CMD":
      return { ...config, Cmd: command(text) };
    case "ENTRYPOINT":
      return { ...config, Entrypoint: command(text) };
    case "ENV":
      return { ...config, Env: withVariables(config.Env ?? [], pairs(text, change)) };
    case "LABEL":
      return { ...config, Labels: { ...config.Labels, ...Object.fromEntries(pairs(text, change)) } };
    case "WORKDIR":
      return { ...config, WorkingDir: text };
    case "USER":
      return { ...config, User: text };
    case "STOPSIGNAL":
      return { ...config, StopSignal: text };
    case "EXPOSE":
      return { ...config, ExposedPorts: { ...config.ExposedPorts, ...ports(text) } };
    case "ONBUILD":
      return { ...config, OnBuild: [...(config.OnBuild ?? []), text] };
    case "VOLUME":
      return { ...config, Volumes: { ...config.Volumes, ...Object.fromEntries(paths(text).map((p) => [p, {}])) } };
    default:
      throw new TsboxError(`Cannot apply change "${change}": unknown instruction "${instruction ?? ""}"`, {
        code: "INVALID_CHANGE",
        hint: "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, ONBUILD, STOPSIGNAL, USER, VOLUME or WORKDIR",
      });
  }
}

/** A variable keeps its place; a new one comes last. */
function withVariables(env: string[], set: [string, string][]): string[] {
  const values = new Map(env.map((variable) => [variable.split("=", 1)[0] ?? "", variable]));
  for (const [name, value] of set) values.set(name, `${name}=${value}`);
  return [...values.values()];
}

/** The exec form (a JSON list), or a line for the shell. */
function command(text: string): string[] {
  return jsonList(text) ?? ["/bin/sh", "-c", text];
}

function paths(text: string): string[] {
  return jsonList(text) ?? text.split(/\s+/);
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

function ports(text: string): Record<string, object> {
  return Object.fromEntries(text.split(/\s+/).map((port) => [port.includes("/") ? port : `${port}/tcp`, {}]));
}

/** `A=1 B="two words"`, or the old form `A one value`. */
function pairs(text: string, change: string): [string, string][] {
  if (!/^[^\s=]+=/.test(text)) {
    const [name = "", ...rest] = text.split(/\s+/);
    if (rest.length === 0)
      throw new TsboxError(`Cannot apply change "${change}": expected NAME=VALUE`, { code: "INVALID_CHANGE" });
    return [[name, rest.join(" ")]];
  }
  const found = text.matchAll(/([^\s=]+)=("(?:[^"\\]|\\.)*"|'[^']*'|(?:[^\s\\]|\\.)*)/g);
  return [...found].map(([, name = "", value = ""]) => [name, unquote(value)]);
}

function unquote(value: string): string {
  if (value.startsWith("'")) return value.slice(1, -1);
  return (value.startsWith('"') ? value.slice(1, -1) : value).replace(/\\(.)/g, "$1");
}
