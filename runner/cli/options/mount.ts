/** `--mount type=bind|image|tmpfs|volume,source=…,target=…,readonly,…` */

import { posix } from "node:path";
import type { MountRequest } from "../../engine/run-options.ts";
import { nearest } from "../suggest.ts";
import { parseBytes } from "../units.ts";
import { UsageError } from "../usage-error.ts";
import { splitCsv } from "./csv.ts";
import { mountTarget } from "./mount-target.ts";
import { emptyVolume, isPropagation, volumeName } from "./volume.ts";

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
  relabel: "relabel",
  chown: "chown",
  u: "chown",
  "volume-nocopy": "volume-nocopy",
  "volume-subpath": "subpath",
  "image-subpath": "subpath",
  subpath: "subpath",
  "volume-opt": "volume-opt",
  "volume-label": "volume-label",
  "volume-driver": "volume-driver",
  "tmpfs-size": "tmpfs-size",
  "tmpfs-mode": "tmpfs-mode",
  tmpcopyup: "tmpcopyup",
  notmpcopyup: "notmpcopyup",
  consistency: "consistency",
};

const SWITCHES = new Set([
  "readonly",
  "readwrite",
  "bind-nonrecursive",
  "bind-create-src",
  "volume-nocopy",
  "chown",
  "tmpcopyup",
  "notmpcopyup",
]);
/** Those that may be given more than once. */
const LISTS = new Set(["volume-opt", "volume-label"]);
/** Keys that only some types have, beyond those whose name begins with the type's. */
const OWNERS: Record<string, readonly string[]> = {
  subpath: ["volume", "image"],
  chown: ["bind", "volume"],
  relabel: ["bind", "volume"],
  tmpcopyup: ["tmpfs"],
  notmpcopyup: ["tmpfs"],
};

type Fields = Map<string, string>;

export function parseMount(text: string, cwd: string): MountRequest {
  const { fields, lists } = readFields(text);
  const type = fields.get("type") ?? "volume";
  for (const key of [...fields.keys(), ...lists.keys()]) {
    const owner = /^(bind|volume|tmpfs)-/.exec(key)?.[1];
    const owners = owner === undefined ? OWNERS[key] : [owner];
    if (owners?.includes(type) === false) throw new UsageError(`"${key}" does not go with type "${type}"`);
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
    case "volume":
      return volume(fields, lists, target, readOnly);
    case "image":
      return image(fields, target);
    default:
      throw new UsageError(`unknown type "${type}", expected bind, image, tmpfs or volume`);
  }
}

function readFields(text: string): { fields: Fields; lists: Map<string, string[]> } {
  const fields: Fields = new Map();
  const lists = new Map<string, string[]>();
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
    if (LISTS.has(key)) lists.set(key, [...(lists.get(key) ?? []), value]);
    else fields.set(key, SWITCHES.has(key) ? String(value === "true" || value === "1") : value);
  }
  return { fields, lists };
}

/** `KEY=VALUE` of options and labels. */
function pairs(words: readonly string[] = []): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const equals = word.indexOf("=");
      return equals < 0 ? [word, ""] : [word.slice(0, equals), word.slice(equals + 1)];
    }),
  );
}

function isOn(fields: Fields, key: string): boolean {
  return fields.get(key) === "true";
}

function bind(fields: Fields, target: string, readOnly: boolean, cwd: string): MountRequest {
  const source = fields.get("source");
  if (!source) throw new UsageError('"source" is missing');
  if (/^~(\/|$)/.test(source)) {
    throw new UsageError(`"${source}" begins with "~", which no shell has replaced here`, {
      hint: `write "$HOME${source.slice(1)}", or "./${source}" for a folder of that name`,
    });
  }
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
    overlay: false,
    chown: isOn(fields, "chown"),
  };
}

function volume(fields: Fields, lists: Map<string, string[]>, target: string, readOnly: boolean): MountRequest {
  const name = fields.get("source");
  const driver = fields.get("volume-driver") ?? "local";
  if (driver !== "local") throw new UsageError(`unknown driver "${driver}", expected local`);
  return {
    ...emptyVolume(target),
    ...(name ? { name: volumeName(name) } : {}),
    readOnly,
    noCopy: isOn(fields, "volume-nocopy"),
    chown: isOn(fields, "chown"),
    options: pairs(lists.get("volume-opt")),
    labels: pairs(lists.get("volume-label")),
    ...subpath(fields),
  };
}

/** podman: not written to, unless `rw=true`. */
function image(fields: Fields, target: string): MountRequest {
  const source = fields.get("source");
  if (!source) throw new UsageError('"source" is missing: the image');
  return { type: "image", image: source, target, readOnly: !isOn(fields, "readwrite"), ...subpath(fields) };
}

function subpath(fields: Fields): { subpath?: string } {
  const path = fields.get("subpath");
  if (path === undefined) return {};
  const tidy = posix.normalize(`/${path}`).slice(1).replace(/\/+$/, "");
  if (tidy === "" || path.split("/").includes("..")) throw new UsageError(`"${path}" is no path below the source`);
  return { subpath: tidy };
}

function tmpfs(fields: Fields, target: string, readOnly: boolean): MountRequest {
  if (fields.has("source")) throw new UsageError('a tmpfs has no "source"');
  const options: string[] = [];
  const size = fields.get("tmpfs-size");
  const mode = fields.get("tmpfs-mode");
  if (size !== undefined) options.push(`size=${/^\d+%$/.test(size) ? size : parseBytes(size)}`);
  if (mode !== undefined) {
    if (!/^[0-7]{1,5}$/.test(mode)) throw new UsageError(`"tmpfs-mode" is octal, got "${mode}"`);
    options.push(`mode=${mode}`);
  }
  return { type: "tmpfs", target, readOnly, options, flags: [], ...(isOn(fields, "tmpcopyup") && { copy: true }) };
}
