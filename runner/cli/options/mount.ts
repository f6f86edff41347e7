/** `--mount type=bind|tmpfs|volume,source=…,target=…,readonly,…` */

import { posix } from "node:path";
import type { MountRequest } from "../../engine/run-options.ts";
import { nearest } from "../suggest.ts";
import { parseBytes } from "../units.ts";
import { UsageError } from "../usage-error.ts";
import { splitCsv } from "./csv.ts";
import { mountTarget } from "./mount-target.ts";
import { isPropagation, volumeName } from "./volume.ts";

/** Every spelling and the key it stands for. */
const KEYS: Record<string, string> = {
  type: "type",
  source: "source",
  src: "source",
  target: "target",
  dst: "target",
  destination: "target",
  readonly: "readonly",
  ro: "readonly",
  rw: "readwrite",
  readwrite: "readwrite",
  "bind-propagation": "bind-propagation",
  "bind-nonrecursive": "bind-nonrecursive",
  "bind-recursive": "bind-recursive",
  "bind-create-src": "bind-create-src",
  "volume-nocopy": "volume-nocopy",
  "tmpfs-size": "tmpfs-size",
  "tmpfs-mode": "tmpfs-mode",
  consistency: "consistency",
};

const SWITCHES = new Set(["readonly", "readwrite", "bind-nonrecursive", "bind-create-src", "volume-nocopy"]);

export function parseMount(text: string, cwd: string): MountRequest {
  const fields = readFields(text);
  const type = fields.get("type") ?? "volume";
  for (const key of fields.keys()) {
    const owner = /^(bind|volume|tmpfs)-/.exec(key)?.[1];
    if (owner !== undefined && owner !== type) throw new UsageError(`"${key}" does not go with type "${type}"`);
  }
  const given = fields.get("target");
  if (given === undefined) throw new UsageError('"target" is missing');
  const target = mountTarget(given);
  const readOnly = isOn(fields, "readonly") || fields.get("readwrite") === "false";
  switch (type) {
    case "bind":
      return bind(fields, target, readOnly, cwd);
    case "tmpfs":
      return tmpfs(fields, target, readOnly);
    case "volume": {
      const name = fields.get("source");
      const noCopy = isOn(fields, "volume-nocopy");
      return { type: "volume", ...(name ? { name: volumeName(name) } : {}), target, readOnly, noCopy };
    }
    default:
      throw new UsageError(`unknown type "${type}", expected bind, tmpfs or volume`);
  }
}

function readFields(text: string): Map<string, string> {
  const fields = new Map<string, string>();
  for (const field of splitCsv(text)) {
    const equals = field.indexOf("=");
    const name = (equals < 0 ? field : field.slice(0, equals)).trim();
    const key = Object.hasOwn(KEYS, name.toLowerCase()) ? KEYS[name.toLowerCase()] : undefined;
    if (key === undefined) {
      const near = nearest(name, Object.keys(KEYS));
      throw new UsageError(`unknown key "${name}"`, near === undefined ? {} : { hint: `did you mean "${near}"?` });
    }
    if (equals < 0 && !SWITCHES.has(key)) throw new UsageError(`"${name}" needs a value`);
    const value = equals < 0 ? "true" : field.slice(equals + 1);
    if (SWITCHES.has(key) && !/^(true|false|1|0)$/.test(value)) {
      throw new UsageError(`"${name}" is true or false, got "${value}"`);
    }
    fields.set(key, SWITCHES.has(key) ? String(value === "true" || value === "1") : value);
  }
  return fields;
}

function isOn(fields: Map<string, string>, key: string): boolean {
  return fields.get(key) === "true";
}

function bind(fields: Map<string, string>, target: string, readOnly: boolean, cwd: string): MountRequest {
  const source = fields.get("source");
  if (!source) throw new UsageError('"source" is missing');
  const propagation = fields.get("bind-propagation");
  if (propagation !== undefined && !isPropagation(propagation)) {
    throw new UsageError(`unknown propagation "${propagation}"`);
  }
  const recursion = fields.get("bind-recursive") ?? "enabled";
  if (recursion !== "enabled" && recursion !== "disabled") {
    throw new UsageError(`"bind-recursive" is enabled or disabled, got "${recursion}"`);
  }
  return {
    type: "bind",
    source: posix.resolve(cwd, source),
    target,
    readOnly,
    recursive: recursion === "enabled" && !isOn(fields, "bind-nonrecursive"),
    ...(propagation === undefined ? {} : { propagation }),
    createSource: isOn(fields, "bind-create-src"),
    flags: [],
  };
}

function tmpfs(fields: Map<string, string>, target: string, readOnly: boolean): MountRequest {
  if (fields.has("source")) throw new UsageError('a tmpfs has no "source"');
  const options: string[] = [];
  const size = fields.get("tmpfs-size");
  const mode = fields.get("tmpfs-mode");
  if (size !== undefined) options.push(`size=${parseBytes(size)}`);
  if (mode !== undefined) {
    if (!/^[0-7]{1,5}$/.test(mode)) throw new UsageError(`"tmpfs-mode" is octal, got "${mode}"`);
    options.push(`mode=${mode}`);
  }
  return { type: "tmpfs", target, readOnly, options, flags: [] };
}
