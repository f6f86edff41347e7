import type { InstructionFlag } from "./flags.ts";
import { DockerfileError, type Source } from "./source.ts";
import type { RunMount, RunMountType } from "./types.ts";

const SYNONYMS: Record<string, string> = {
  src: "source",
  dst: "target",
  destination: "target",
  ro: "readonly",
  rw: "readwrite",
};

/** The fields that each type of RUN mount has. */
const FIELDS: Record<RunMountType, string[]> = {
  bind: ["target", "source", "from", "readonly", "readwrite"],
  cache: ["id", "target", "readonly", "readwrite", "sharing", "from", "source", "mode", "uid", "gid"],
  tmpfs: ["target", "size"],
  secret: ["id", "target", "required", "mode", "uid", "gid", "env"],
  ssh: ["id", "target", "required", "mode", "uid", "gid"],
};

/** Fields that may stand without a value. */
const ALONE = ["readonly", "readwrite", "required"];

export function readRunMount(source: Source, flag: InstructionFlag): RunMount {
  const refuse = (why: string, hint?: string) => new DockerfileError(source, flag.span, why, hint);
  const fields = new Map<string, string>();
  for (const field of csvFields(flag.value)) {
    const cut = field.indexOf("=");
    const given = (cut < 0 ? field : field.slice(0, cut)).toLowerCase();
    const name = SYNONYMS[given] ?? given;
    if (cut < 0 && !ALONE.includes(name)) throw refuse(`"${given}" needs a value`, `write ${given}=…`);
    fields.set(name, cut < 0 ? "true" : field.slice(cut + 1));
  }
  const type = (fields.get("type") ?? "bind") as RunMountType;
  fields.delete("type");
  const known = Object.hasOwn(FIELDS, type) ? FIELDS[type] : undefined;
  if (!known) throw refuse(`there is no mount of type "${type}"`, `types are ${Object.keys(FIELDS).join(", ")}`);
  for (const name of fields.keys()) {
    if (!known.includes(name)) throw refuse(`a ${type} mount has no "${name}"`, `it has ${known.join(", ")}`);
  }
  for (const name of ALONE) {
    const value = fields.get(name);
    if (value !== undefined && !/^(true|false|1|0)$/i.test(value)) throw refuse(`"${name}" is true or false`);
  }
  if ((type === "bind" || type === "cache" || type === "tmpfs") && !fields.get("target")) {
    throw refuse(`a ${type} mount needs a target`, "write target=/path");
  }
  for (const name of ["uid", "gid"]) {
    const value = fields.get(name);
    if (value !== undefined && !/^(\d+|.*\$.*)$/.test(value)) throw refuse(`"${name}" is a number, got "${value}"`);
  }
  const mode = fields.get("mode");
  if (mode !== undefined && !/^[0-7]{1,5}$/.test(mode)) throw refuse(`"mode" is an octal number, got "${mode}"`);
  const sharing = fields.get("sharing");
  if (sharing !== undefined && !["shared", "private", "locked"].includes(sharing)) {
    throw refuse(`there is no sharing "${sharing}"`, "it is shared, private or locked");
  }
  return { type, fields, span: flag.span };
}

/** One line of CSV: a field may stand in double quotes. */
export function csvFields(text: string): string[] {
  const fields = [...text.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^,]*))/g)];
  return fields.map(([, quoted, plain]) => (quoted === undefined ? (plain ?? "") : quoted.replace(/""/g, '"')));
}
